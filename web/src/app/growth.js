// How the folders grew, from the history: a line over the days for each machine.

import { useEffect, useState } from "preact/hooks";
import { count, counted, size } from "../format.js";
import { html, Section } from "../html.js";
import { Table } from "../table.js";
import { get } from "./api.js";
import { Chart } from "./chart.js";

const LINES = ["--accent", "--warn", "--fine", "--bad"];

const DAY = 86_400_000;

// The history of each machine that is shown; null until it is there. It is asked for again when an
// inventory has changed.
export function useHistory(machines) {
  const [found, setFound] = useState(null);
  const scans = machines.map((machine) => `${machine.name} ${machine.pages.scan}`).join();
  useEffect(() => {
    const names = new Set(machines.map((machine) => machine.name));
    // Without an answer the page has no graph; that the server is away is told elsewhere.
    get("history").then((answer) => setFound(answer.machines.filter((machine) => names.has(machine.name))), () => setFound([]));
  }, [scans]);
  return found;
}

const seconds = (day) => Date.parse(`${day}T00:00:00Z`) / 1000;

export const dayOf = (time) => new Date(time * 1000).toISOString().slice(0, 10);

export function Growth({ pages }) {
  const found = useHistory(pages.machines);
  if (!found) return null;
  return html`<${Section} id="growth" title="Growth" note="By day of UTC. A day on which nothing changed is left out.">
    ${found.map(({ name, history }) => html`<${Machine} key=${name} name=${pages.isOne ? "" : name} history=${history} />`)}
  <//>`;
}

function Machine({ name, history }) {
  const { days, bytes, categories } = history;
  const title = name && html`<h3>${name}</h3>`;
  if (days.length < 2) return html`${title}<p>The history begins ${days.length ? `with ${days[0]}` : "with the next scan"}; a graph begins with the next day that changes something.</p>`;
  const largest = categories.slice(0, LINES.length - 1);
  const lines = [{ label: "everything", values: bytes }, ...largest.map((each) => ({ label: each.category, values: each.bytes }))];
  const grown = bytes.at(-1) - bytes[0];
  return html`${title}
    <p>${sign(grown)} since ${days[0]}, now ${size(bytes.at(-1))} in ${counted(history.files.at(-1), "file")}.</p>
    <${Chart}
      label=${`Bytes by day, from ${size(bytes[0])} on ${days[0]} to ${size(bytes.at(-1))} on ${days.at(-1)}`}
      times=${days.map(seconds)}
      lines=${lines.map((line, index) => ({ ...line, colour: LINES[index] }))}
      format=${size}
      clock=${dayOf}
    />
    <details>
      <summary>By category</summary>
      <${Table} caption="Growth by category" columns=${columnsOf(days)} rows=${categories} sort=${{ column: 1, down: true }} perPage=${15} />
    </details>`;
}

const sign = (bytes) => `${bytes < 0 ? "\u2212" : "+"}${size(Math.abs(bytes))}`;

const MONTH = 30;

// The last day of the history that is at least so many days before the last one, else the first.
function before(days, past) {
  const limit = new Date(Date.parse(days.at(-1)) - past * DAY).toISOString().slice(0, 10);
  return Math.max(0, days.findLastIndex((day) => day <= limit));
}

function columnsOf(days) {
  const month = before(days, MONTH);
  const grown = (from) => (row) => row.bytes.at(-1) - row.bytes[from];
  return [
    { title: "Category", value: (row) => row.category },
    { title: "Now", number: true, value: (row) => row.bytes.at(-1), show: (row) => size(row.bytes.at(-1)) },
    { title: `Since ${days[month]}`, number: true, value: grown(month), show: (row) => sign(grown(month)(row)) },
    { title: `Since ${days[0]}`, number: true, extra: true, value: grown(0), show: (row) => sign(grown(0)(row)) },
  ];
}

// What the scans of each lane cost by day, against how often they come.
export function CostsByDay({ pages, format }) {
  const found = useHistory(pages.machines);
  const lanes = (found ?? []).flatMap(({ name, history }) => history.lanes.map((lane) => ({ ...lane, name })));
  return lanes
    .filter((lane) => lane.days.length > 1)
    .map(
      (lane) => html`<h3 class="path">${pages.isOne ? "" : `${lane.name}: `}${lane.lane}</h3>
        <${Chart}
          key=${`${lane.name} ${lane.lane}`}
          label=${`Seconds of a scan and from scan to scan, the mean of each of ${count(lane.days.length)} days, of ${lane.lane}`}
          times=${lane.days.map(seconds)}
          lines=${[
            { label: "a scan takes", values: lane.seconds, colour: "--accent" },
            { label: "every", values: lane.every_seconds, colour: "--warn" },
          ]}
          format=${format}
          clock=${dayOf}
        />`,
    );
}
