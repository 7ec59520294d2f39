// Every file in one table: searched, chosen from, sorted, with the columns that one wants.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { chosen, EVERYTHING } from "../choose.js";
import { Choice } from "../files.js";
import { count, counted, size, time } from "../format.js";
import { html, Section } from "../html.js";
import { selection, table } from "../state.js";
import { Copy } from "./copy.js";
import { Details } from "./details.js";
import { Grid } from "./grid.js";
import { recall, remember } from "./memory.js";

const NAME = 14;

const REM = 16;

const GAP = 0.9;

// The columns that a table of these files can have. `width` is in
// rem; where not all find room, those of the highest `rank` go first.
function columnsOf(files) {
  const { columns } = files;
  const has = (column) => columns[column].some(Boolean);
  const names = (column) => files.names[column].some(Boolean);
  const text = (column) => ({ value: (row) => files.text(column, row), show: (row) => files.text(column, row) });
  const plain = (column) => ({ value: (row) => columns[column][row], show: (row) => columns[column][row] });
  const called = (row) => files.calledInComfyUI(row) || columns.name[row];
  return [
    {
      title: "Name",
      width: NAME,
      rank: 0,
      value: called,
      show: (row) => html`<span class="first-line">${called(row)}</span><small class="second-line">${files.folderPath(row)}</small>`,
    },
    files.names.machine.length > 1 && { title: "Machine", width: 7, rank: 3, ...text("machine") },
    { title: "Size", width: 6, rank: 0, number: true, value: (row) => columns.size[row], show: (row) => size(columns.size[row]) },
    { title: "Modified", width: 9, rank: 6, number: true, value: (row) => columns.time[row], show: (row) => time(columns.time[row]) },
    { title: "Category", width: 9, rank: 4, ...text("category") },
    names("kind") && { title: "Kind", width: 8, rank: 7, ...text("kind") },
    { title: "Base model", width: 9, rank: 5, ...text("base") },
    { title: "Drive", width: 9, rank: 2.5, isHidden: true, ...text("drive") },
    { title: "File name", width: 16, rank: 2.6, isHidden: true, ...plain("name") },
    has("hash") && { title: "Hash", width: 8, rank: 1, value: (row) => columns.hash[row], show: (row) => html`<${Copy} text=${columns.hash[row]} what="hash" />` },
    (names("word") || has("alias")) && {
      title: "Notes",
      width: 7,
      rank: 2,
      value: (row) => noteOf(files, row),
      show: (row) => html`<span class=${files.text("word", row) ? "state" : ""}>${noteOf(files, row)}</span>`,
    },
  ].filter(Boolean);
}

const noteOf = (files, row) => files.text("word", row) || (files.columns.alias[row] ? "another path" : "");

export function Models({ pages }) {
  const files = table.value;
  if (!files) return html`<${Section} id="models" title="Models"><p role="status">Reading the files ...</p><//>`;
  return html`<${Table} files=${files} leftOut=${pages.left_out} />`;
}

function Table({ files, leftOut }) {
  const wanted = selection.value;
  const rows = useMemo(() => chosen(files, wanted), [files, wanted]);
  const all = useMemo(() => columnsOf(files), [files]);
  const [hidden, setHidden] = useState(() => recall("hidden-columns") ?? all.filter((column) => column.isHidden).map((column) => column.title));
  const [order, setOrder] = useState({ title: "Size", down: true });
  const [opened, setOpened] = useState(null);
  const [box, width] = useWidth();
  const columns = fitting(all.filter((column, index) => index === 0 || !hidden.includes(column.title)), width / REM);
  const by = all.find((column) => column.title === order.title) ?? all[0];
  const sorted = useMemo(() => files.sorted(rows, by, order.down), [files, rows, by, order]);
  const bytes = useMemo(() => rows.reduce((sum, row) => sum + (files.columns.alias[row] ? 0 : files.columns.size[row]), 0), [files, rows]);
  const set = (change) => (selection.value = { ...wanted, ...change });
  const sortBy = (column) => setOrder(column.title === order.title ? { ...order, down: !order.down } : { title: column.title, down: Boolean(column.number) });
  const hide = (title, isOn) => {
    const titles = isOn ? hidden.filter((each) => each !== title) : [...hidden, title];
    setHidden(titles);
    remember("hidden-columns", titles);
  };
  return html`<${Section} id="models" title="Models" note=${leftOut ? `${count(leftOut)} files are not in this list, since there are so many: all sums have them.` : ""}>
    <form class="bar" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>Search <input type="search" value=${wanted.text} onInput=${(event) => set({ text: event.target.value })} /></label>
      ${files.names.machine.length > 1 && html`<${Choice} label="Machine" name="machine" texts=${files.names.machine} />`}
      <${Choice} label="Category" name="category" texts=${files.names.category} />
      <${Choice} label="Base model" name="base" texts=${files.names.base} />
      <${Choice} label="Drive" name="drive" texts=${files.names.drive} />
      <label class="tick"><input type="checkbox" checked=${wanted.models} onChange=${(event) => set({ models: event.target.checked })} /> Models only</label>
      <details class="chooser">
        <summary>Columns</summary>
        <fieldset>
          <legend class="unseen">Columns that are shown</legend>
          ${all.slice(1).map((column) => html`<label class="tick"><input type="checkbox" checked=${!hidden.includes(column.title)} onChange=${(event) => hide(column.title, event.target.checked)} /> ${column.title}</label>`)}
        </fieldset>
      </details>
    </form>
    ${wanted.folder !== null && html`<p class="within">Within ${wanted.folder} <button onClick=${() => set({ folder: null })}>Show all folders</button></p>`}
    <p class="note" role="status">
      ${counted(rows.length, "file")}, ${size(bytes)}
      ${wanted !== EVERYTHING && html` <button class="link" onClick=${() => (selection.value = EVERYTHING)}>Clear the search</button>`}
    </p>
    <div ref=${box}>${rows.length > 0 ? html`<${Grid} caption="Models" columns=${columns} rows=${sorted} order=${order} sortBy=${sortBy} open=${(row) => setOpened({ files, row })} />` : html`<p>No file is like this.</p>`}</div>
    ${opened !== null && html`<${Details} files=${opened.files} row=${opened.row} close=${() => setOpened(null)} />`}
  <//>`;
}

// As many columns as find room, in their order.
function fitting(columns, room) {
  const needed = (chosen) => chosen.reduce((sum, column) => sum + column.width + GAP, 2);
  const result = [...columns];
  while (result.length > 2 && needed(result) > room) {
    const last = result.reduce((one, other) => (other.rank > one.rank ? other : one));
    result.splice(result.indexOf(last), 1);
  }
  return result;
}

// The width of an element in pixels.
function useWidth() {
  const box = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(entry.contentRect.width));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return [box, width];
}
