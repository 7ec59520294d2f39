// News of the server: after each the pages are asked for again. Where it does not answer, the page
// keeps asking, ever less often.

import { signal } from "@preact/signals";
import { address } from "./api.js";
import { lost, machines, needsToken, openSession, refresh } from "./model.js";

// The last scans of each lane since the page was opened, with the seconds between them as they were.
export const scans = signal([]);

const MOST_SCANS = 2000;

// Milliseconds: several pieces of news within one lead to one request.
const PAUSE = 200;

const FIRST_WAIT = 1000;

const LONGEST_WAIT = 15_000;

let wait = FIRST_WAIT;

let timer = null;

let events = null;

// Ask for the pages after a pause, unless that is about to happen anyway.
function soon(pause = PAUSE) {
  timer ??= setTimeout(async () => {
    timer = null;
    await follow();
  }, pause);
}

// Ask for the pages, and be told of news from then on.
export async function follow() {
  if (!events) await openSession();
  await refresh();
  if (needsToken.value) return; // the form asks again
  if (lost.value) {
    soon(wait);
    // One that gives a reason will soon be ready.
    if (!lost.value.reason) wait = Math.min(2 * wait, LONGEST_WAIT);
    return;
  }
  wait = FIRST_WAIT;
  if (!events) listen();
}

function listen() {
  events = new EventSource(address("events"));
  for (const kind of ["hello", "status", "change", "root", "reset"]) events.addEventListener(kind, () => soon());
  events.addEventListener("scan", (event) => note(JSON.parse(event.data)));
  events.onerror = () => {
    events.close();
    events = null;
    soon();
  };
}

function note(scan) {
  const own = machines.value.find((machine) => machine.name === scan.machine);
  const lane = own?.pages.status?.lanes.find((each) => each.id === scan.lane);
  scans.value = [...scans.value.slice(-MOST_SCANS), { ...scan, every: lane?.every_seconds ?? null }];
}
