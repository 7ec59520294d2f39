// What the server told, and what of it is shown. Parts of the page read these signals.

import { computed, effect, signal } from "@preact/signals";
import { Files } from "../data.js";
import { selection, table } from "../state.js";
import { ApiError, get, post } from "./api.js";
import { mergeFiles, mergePages } from "./merge.js";
import { recall, remember } from "./memory.js";
import { token } from "./token.js";

// {name, pages, table?}, as the server names them.
export const machines = signal([]);

// {name, error} of machines whose inventory cannot be read.
export const unreadable = signal([]);

// The name of the machine that is shown; null for all.
export const chosenMachine = signal(recall("machine"));

// Whether this server can accept a hold, and its version.
export const server = signal({ accepts: false, version: "" });

// Whether the server answers: the moment of the first failure and why, else null.
export const lost = signal(null);

export const needsToken = signal(false);

// Parts of the page that want the table count themselves: without one it is not fetched.
export const readers = signal(0);

const shown = computed(() => {
  const one = machines.value.filter((machine) => machine.name === chosenMachine.value);
  return one.length ? one : machines.value;
});

// The files of what is chosen. They stay the same object until a scan found something new.
let last = { parts: [], files: null };

const files = computed(() => {
  const parts = shown.value.flatMap((machine) => [machine.name, machine.pages.scan, machine.table]);
  const isSame = parts.length === last.parts.length && parts.every((part, index) => part === last.parts[index]);
  if (!isSame) last = { parts, files: mergeFiles(shown.value) };
  return last.files;
});

// The pages of what is chosen; null before the first answer.
export const pages = computed(() => (shown.value.length ? { ...mergePages(shown.value), space: files.value.space } : null));

effect(() => {
  if (!shown.value.length) return;
  const { table: columns, space } = files.value;
  if (columns?.columns !== table.peek()?.columns) table.value = columns && new Files(columns, space);
});

export function chooseMachine(name) {
  chosenMachine.value = name;
  remember("machine", name);
  selection.value = { ...selection.value, machine: null, drive: null, folder: null };
  fetchTables();
}

// Ask for the pages, and for the tables that are older than they are.
export async function refresh() {
  try {
    const answer = await get("pages");
    server.value = { accepts: answer.accepts, version: answer.version };
    const known = new Map(machines.value.map((machine) => [machine.name, machine]));
    unreadable.value = answer.machines.filter((machine) => machine.error);
    machines.value = answer.machines.filter((machine) => machine.pages).map(({ name, pages }) => ({ ...known.get(name), name, pages }));
    await fetchTables();
    lost.value = null;
    needsToken.value = false;
  } catch (error) {
    failed(error);
  }
}

// The tables that are on their way, by the name of their machine.
const fetching = new Map();

export async function fetchTables() {
  if (!readers.value) return;
  const late = shown.value.filter((machine) => machine.tableScan !== machine.pages.scan);
  if (!late.length) return;
  const tables = await Promise.all(late.map((machine) => oneTable(machine.name)));
  const byName = new Map(late.map((machine, index) => [machine.name, tables[index]]));
  machines.value = machines.value.map((machine) => {
    const found = byName.get(machine.name);
    return found ? { ...machine, table: found, tableScan: found.scans[0] } : machine;
  });
}

function oneTable(machine) {
  if (!fetching.has(machine)) fetching.set(machine, wholeTable(machine).finally(() => fetching.delete(machine)));
  return fetching.get(machine);
}

// Above the most rows of one answer there are models only, the largest first.
async function wholeTable(machine) {
  const found = await get("entries", { machine });
  if (found.cursor === null) return { ...found, leftOut: 0 };
  const models = await get("entries", { machine, models: "1", sort: "-size" });
  return { ...models, leftOut: found.total - models.columns.name.length };
}

export function failed(error) {
  if (error instanceof ApiError && error.status === 401) needsToken.value = true;
  else lost.value = { since: lost.value?.since ?? Date.now(), reason: error instanceof ApiError ? error.message.replace(/\.$/, "") : "" };
}

// EventSource can send no header, so a cookie stands for the token.
export async function openSession() {
  if (token()) await post("session", {}, "").catch(failed);
}
