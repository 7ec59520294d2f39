// News of the server: after each the pages are asked for again, and soon after a broken connection.

import { signal } from "@preact/signals";
import { address } from "./api.js";
import { lost, machines, needsToken, openSession, refresh } from "./model.js";

// The last scans of each lane since the page was opened, with the seconds between them as they were.
export const scans = signal([]);

const MOST_SCANS = 2000;

// Milliseconds: several pieces of news within one lead to one request.
const PAUSE = 200;

const LONGEST_WAIT = 15_000;

let wait = 1000;

let asked = null;

function soon() {
  asked ??= setTimeout(async () => {
    await refresh();
    asked = null;
  }, PAUSE);
}

export function listen() {
  const events = new EventSource(address("events"));
  events.onopen = () => {
    wait = 1000;
    soon(); // what happened before it was open
  };
  for (const kind of ["status", "change", "root", "reset"]) events.addEventListener(kind, soon);
  events.addEventListener("scan", (event) => note(JSON.parse(event.data)));
  events.onerror = () => {
    events.close();
    setTimeout(again, wait);
    wait = Math.min(2 * wait, LONGEST_WAIT);
  };
}

async function again() {
  await openSession();
  await refresh();
  if (needsToken.value || lost.value) setTimeout(again, wait);
  else listen();
}

function note(scan) {
  const own = machines.value.find((machine) => machine.name === scan.machine);
  const lane = own?.pages.status?.lanes.find((each) => each.id === scan.lane);
  scans.value = [...scans.value.slice(-MOST_SCANS), { ...scan, every: lane?.every_seconds ?? null }];
}
