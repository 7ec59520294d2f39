// A table of any length: only the rows that can be seen are in the document. All have one height,
// so the place of a row follows from its number.

import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";

const ROW = 48;

const SPARE = 6;

// `columns` are {title, width, show(row), number?}; the first takes what the others leave, `rows` anything with a length and indexes.
export function Grid({ caption, columns, rows, order, sortBy, open }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const look = () => box.current && setView({ top: box.current.scrollTop, height: box.current.clientHeight });
  useEffect(() => {
    const observer = new ResizeObserver(look);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    box.current.scrollTop = 0;
    look();
  }, [order]);
  const first = Math.max(0, Math.min(Math.floor(view.top / ROW), rows.length - 1) - SPARE);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / ROW) + SPARE);
  const shown = [];
  for (let index = first; index < last; index++) shown.push(index);
  const tracks = { gridTemplateColumns: columns.map(({ width }, index) => (index ? `${width}rem` : "minmax(0, 1fr)")).join(" ") };
  return html`<div
    class="grid"
    role="table"
    aria-label=${caption}
    aria-rowcount=${rows.length + 1}
    aria-colcount=${columns.length}
  >
    <div class="grid-head" role="row" aria-rowindex="1" style=${tracks}>
      ${columns.map((column) => html`<${Heading} column=${column} order=${order} sortBy=${sortBy} />`)}
    </div>
    <div class="grid-body" role="rowgroup" tabindex="0" aria-label=${`Rows of ${caption}`} ref=${box} onScroll=${look} onKeyDown=${(event) => step(event, box.current)}>
      <div role="presentation" style=${{ height: `${rows.length * ROW}px` }}></div>
      ${shown.map((index) => html`<${Row} key=${rows[index]} index=${index} row=${rows[index]} columns=${columns} tracks=${tracks} open=${open} />`)}
    </div>
  </div>`;
}

function Heading({ column, order, sortBy }) {
  const isOrder = order.title === column.title;
  return html`<div role="columnheader" class=${column.number ? "number" : ""} aria-sort=${isOrder ? (order.down ? "descending" : "ascending") : "none"}>
    <button class="heading" onClick=${() => sortBy(column)}>
      ${column.title}<span aria-hidden="true" class="arrow">${isOrder ? (order.down ? " \u2193" : " \u2191") : ""}</span>
    </button>
  </div>`;
}

function Row({ row, index, columns, tracks, open }) {
  const [name, ...others] = columns;
  return html`<div class="grid-row" role="row" aria-rowindex=${index + 2} style=${{ ...tracks, height: `${ROW}px`, top: `${index * ROW}px` }}>
    <div role="cell"><button class="link" data-row=${index} onClick=${() => open(row)}>${name.show(row)}</button></div>
    ${others.map((column) => html`<div role="cell" class=${column.number ? "number" : ""}>${column.show(row)}</div>`)}
  </div>`;
}

// Up and down go from row to row; what is not there yet is scrolled to first.
function step(event, box) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const from = event.target.dataset.row;
  if (!by || from === undefined) return;
  event.preventDefault();
  const next = Number(from) + by;
  const [top, bottom] = [next * ROW, (next + 1) * ROW];
  if (top < box.scrollTop) box.scrollTop = top;
  if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  requestAnimationFrame(() => box.querySelector(`[data-row="${next}"]`)?.focus());
}
