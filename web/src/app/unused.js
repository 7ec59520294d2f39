// Models that no saved workflow and no output names. Nothing here says that one is safe to delete.

import { useEffect, useState } from "preact/hooks";
import { count, counted, moment, size } from "../format.js";
import { html, Section } from "../html.js";
import { Table } from "../table.js";
import { get } from "./api.js";

export function Unused({ pages }) {
  return html`<${Section} id="unused" title="Unused" note="Models that no saved workflow names and that no picture or video carries. Files that were moved elsewhere leave no trace here, so nothing here is proven to be useless.">
    ${pages.machines.map((machine) => html`<${Machine} key=${machine.name} machine=${machine} isOne=${pages.isOne} />`)}
  <//>`;
}

function Machine({ machine, isOne }) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState("");
  const { status } = machine.pages;
  const isHere = status !== null && status.alive !== null;
  useEffect(() => {
    if (!isHere) return;
    get("unused", { machine: machine.name })
      .then((answer) => (setFound(answer), setError("")))
      .catch((failure) => setError(failure.message));
  }, [machine.pages.scan, status?.scan]);
  const title = isOne ? "" : html`<h3>${machine.name}</h3>`;
  if (!isHere) return html`${title}<p>Only the computer that scans knows what names its models: run <code>comfy-inventory unused</code> there.</p>`;
  if (error) return html`${title}<p class="answer path">${error}</p>`;
  if (!found) return html`${title}<p role="status">Reading what workflows and outputs name ...</p>`;
  return html`${title}
    ${!found.complete && html`<p class="answer">${unfinished(found)} This list may hold models that are in use.</p>`}
    <p>${sentences(found).join(" ")}</p>
    ${found.unused.length > 0 && html`<${Table} caption=${`Models without a trace ${machine.name}`} columns=${columns(found)} rows=${found.unused} sort=${{ column: 1, down: true }} />`}
    <p>To move them to a slower drive: <code>comfy-inventory unused --script move --to FOLDER</code> prints a script to read and run.</p>`;
}

function sentences(found) {
  const since = found.since ? ` since ${moment(found.since)}` : "";
  const shown = found.unused.length < found.count ? [`The first ${count(found.unused.length)} are shown.`] : [];
  return [
    `${counted(found.count, "model")} of ${count(found.models)} (${size(found.bytes)}) without a trace${since}.`,
    `${counted(found.files, "workflow or output", "workflows and outputs")} read.`,
    ...shown,
  ];
}

function unfinished(found) {
  if (!found.files) return "No workflow and no output has been read yet.";
  if (found.left) return `${counted(found.left, "file")} that may name models ${found.left === 1 ? "is" : "are"} not read yet.`;
  if (found.away.length) return `${found.away.join(", ")} ${found.away.length === 1 ? "is" : "are"} away.`;
  return "Not everything that names models could be read.";
}

const since = (row, found) => row.last?.until ?? found.since ?? "";

const columns = (found) => [
  {
    title: "Name",
    value: (row) => row.name,
    show: (row) => html`<span class="path">${row.name}</span> <small>${row.path}</small>`,
  },
  { title: "Size", number: true, value: (row) => row.size, show: (row) => size(row.size) },
  { title: "Category", extra: true, value: (row) => row.category },
  { title: "No trace since", extra: true, value: (row) => since(row, found), show: (row) => html`${moment(since(row, found))} <small>${row.last && `last named by ${row.last.path}`}</small>` },
];
