// The files of the inventory as a table that can be searched.

import { useMemo } from "preact/hooks";
import { chosen } from "./choose.js";
import { count, size, time } from "./format.js";
import { html, Section } from "./html.js";
import { selection, table } from "./state.js";
import { Table } from "./table.js";

function columnsOf(files) {
  const { columns } = files;
  const isUsed = (column) => columns[column].some(Boolean);
  return [
    {
      title: "Name",
      value: (row) => columns.name[row],
      show: (row) => html`${columns.name[row]} <small>${files.folderPath(row)}</small>`,
    },
    { title: "Size", number: true, value: (row) => columns.size[row], show: (row) => size(columns.size[row]) },
    {
      title: "Modified",
      number: true,
      extra: true,
      value: (row) => columns.time[row],
      show: (row) => time(columns.time[row]),
    },
    { title: "Category", extra: true, short: true, value: (row) => files.text("category", row) },
    { title: "Kind", extra: true, value: (row) => files.text("kind", row) },
    { title: "Base model", extra: true, value: (row) => files.text("base", row) },
    isUsed("hash") && {
      title: "AutoV2",
      extra: true,
      short: true,
      value: (row) => columns.hash[row],
      show: (row) => html`<code>${columns.hash[row]}</code>`,
    },
    (isUsed("alias") || files.names.word.some(Boolean)) && {
      title: "Notes",
      extra: true,
      value: (row) => files.text("word", row) || (columns.alias[row] ? "another path" : ""),
    },
  ].filter(Boolean);
}

// A name of a column, or all. Values begin with a sign, since a name may be empty.
export function Choice({ label, name, texts }) {
  const change = (event) => (selection.value = { ...selection.value, [name]: event.target.value ? event.target.value.slice(1) : null });
  return html`<label>
    ${label}
    <select onChange=${change}>
      <option value="" selected=${selection.value[name] === null}>all</option>
      ${[...texts].sort().map((text) => html`<option value=${`=${text}`} selected=${selection.value[name] === text}>${text || "none"}</option>`)}
    </select>
  </label>`;
}

export function FilesSection({ leftOut }) {
  const files = table.value;
  const wanted = selection.value;
  const rows = useMemo(() => (files ? chosen(files, wanted) : []), [files, wanted]);
  const columns = useMemo(() => files && columnsOf(files), [files]);
  if (!files) return html`<${Section} id="files" title="Files"><p>Reading the files ...</p><//>`;
  const bytes = rows.reduce((sum, row) => sum + (files.columns.alias[row] ? 0 : files.columns.size[row]), 0);
  const set = (change) => (selection.value = { ...wanted, ...change });
  return html`<${Section} id="files" title="Files" note=${leftOut ? `${count(leftOut)} files are not in this list, since there are so many: the sums above have them.` : ""}>
    <form class="bar" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>
        Search
        <input type="search" value=${wanted.text} onInput=${(event) => set({ text: event.target.value })} />
      </label>
      <${Choice} label="Category" name="category" texts=${files.names.category} />
      <${Choice} label="Base model" name="base" texts=${files.names.base} />
      <${Choice} label="Drive" name="drive" texts=${files.names.drive} />
      <label class="tick">
        <input type="checkbox" checked=${wanted.models} onChange=${(event) => set({ models: event.target.checked })} />
        Models only
      </label>
    </form>
    ${wanted.folder !== null &&
    html`<p class="within">
      Within ${wanted.folder}
      <button onClick=${() => set({ folder: null })}>Show all folders</button>
    </p>`}
    <p class="note" aria-live="polite">${count(rows.length)} files, ${size(bytes)}</p>
    ${rows.length > 0 && html`<${Table} caption="Files" columns=${columns} rows=${rows} sort=${{ column: 1, down: true }} />`}
  <//>`;
}
