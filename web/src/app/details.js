// Everything that the inventory has about one file. What is not in the table is fetched.

import { useEffect, useRef, useState } from "preact/hooks";
import { count, size, time } from "../format.js";
import { html } from "../html.js";
import { get } from "./api.js";
import { Copy } from "./copy.js";
import { machines } from "./model.js";

// Fields of an entry and of its `model`, in the order in which people look for them.
const FIELDS = { problem: "Problem", shadowed_by: "ComfyUI loads instead", alias_of: "The same file as", target: "Leads to" };

const MODEL = {
  title: "Title",
  trigger_words: "Trigger words",
  version: "Version",
  author: "Author",
  architecture: "Architecture",
  precision: "Precision",
  quantization: "Quantization",
  resolution: "Resolution",
  made_from: "Made from",
  license: "Licence",
  url: "Page",
  description: "Description",
};

export function Details({ files, row, close }) {
  const dialog = useRef(null);
  const [entry, setEntry] = useState(null);
  const { columns } = files;
  const machine = files.names.machine[columns.machine[row]];
  useEffect(() => {
    dialog.current.showModal();
    const scan = machines.value.find((each) => each.name === machine)?.tableScan;
    // Without an answer the dialog shows what the table has.
    get("entry", { machine, scan, row: columns.row[row] }).then((answer) => setEntry(answer.entry), () => setEntry({}));
  }, []);
  const facts = [
    ["Folder", files.folderPath(row)],
    ["In ComfyUI", files.calledInComfyUI(row)],
    files.names.machine.length > 1 && ["Machine", machine],
    ["Size", `${size(columns.size[row])} (${count(columns.size[row])} bytes)`],
    ["Modified", time(columns.time[row])],
    ...["category", "kind", "base", "drive"].map((column) => [TITLES[column], files.text(column, row)]),
    ["Notes", files.text("word", row)],
    ...known(FIELDS, entry),
    ...known(MODEL, entry?.model),
  ].filter((fact) => fact && fact[1]);
  const hashes = [
    ["AutoV2", columns.hash[row]],
    ["SHA-256", entry?.sha256],
    ["xxh3", entry?.hash],
  ].filter((fact) => fact[1]);
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="details-title">
    <h2 id="details-title" class="path">${columns.name[row]}</h2>
    <dl aria-busy=${!entry}>
      ${facts.map(([title, text]) => html`<div><dt>${title}</dt><dd class="path">${text}</dd></div>`)}
      ${hashes.map(([title, text]) => html`<div><dt>${title}</dt><dd class="path"><${Copy} text=${text} what=${title} /></dd></div>`)}
    </dl>
    <button onClick=${() => dialog.current.close()}>Close</button>
  </dialog>`;
}

const TITLES = { category: "Category", kind: "Kind", base: "Base model", drive: "Drive" };

// The server gives the fields as the inventory has them, so what would not show is made to.
const printable = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (letter) => `\\u${letter.codePointAt(0).toString(16).padStart(4, "0")}`);

const shown = (value) => (value === undefined ? "" : printable([value].flat().join(", ")));

const known = (titles, fields) => Object.entries(titles).map(([field, title]) => [title, shown(fields?.[field])]);
