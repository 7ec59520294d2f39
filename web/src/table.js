// A table that is shown page by page, and sorted by a click on a heading.

import { useMemo, useState } from "preact/hooks";
import { count } from "./format.js";
import { html } from "./html.js";

const PER_PAGE = 20;

function compared(value) {
  return (one, other) => {
    const [a, b] = [value(one), value(other)];
    return a < b ? -1 : a > b ? 1 : 0;
  };
}

// `columns` are {title, value(row), show?(row), number?, extra?}: `value` sorts, `show` is what
// people see, `extra` ones are left out where the screen is narrow, and `short` ones never wrap.
export function Table({ caption, columns, rows, sort = null, perPage = PER_PAGE }) {
  const [order, setOrder] = useState(sort);
  const [start, setStart] = useState(0);
  const sorted = useMemo(() => {
    if (!order) return rows;
    const result = [...rows].sort(compared(columns[order.column].value));
    return order.down ? result.reverse() : result;
  }, [rows, order]);
  const first = start < sorted.length ? start : 0;
  const by = (column) => {
    const down = order?.column === column ? !order.down : Boolean(columns[column].number);
    setOrder({ column, down });
    setStart(0);
  };
  const state = (column) =>
    order?.column === column ? (order.down ? "descending" : "ascending") : undefined;
  return html`<table>
      <caption class="unseen">
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map(
            (column, index) =>
              html`<th scope="col" class=${kind(column)} aria-sort=${state(index)}>
                <button class="heading" onClick=${() => by(index)}>
                  ${column.title}<span aria-hidden="true" class="arrow">${arrow(state(index))}</span>
                </button>
              </th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${sorted
          .slice(first, first + perPage)
          .map(
            (row) =>
              html`<tr>
                ${columns.map(
                  (column) =>
                    html`<td class=${kind(column)}>${(column.show ?? column.value)(row)}</td>`,
                )}
              </tr>`,
          )}
      </tbody>
    </table>
    <${Pager} caption=${caption} first=${first} total=${sorted.length} step=${perPage} go=${setStart} />`;
}

const kind = (column) => ["number", "extra", "short"].filter((word) => column[word]).join(" ");

const arrow = (state) => (state ? (state === "descending" ? " \u2193" : " \u2191") : "");

function Pager({ caption, first, total, step, go }) {
  if (total <= step) return null;
  const last = Math.min(first + step, total);
  const end = Math.floor((total - 1) / step) * step;
  return html`<nav class="pager" aria-label=${`Pages of ${caption}`}>
    <button disabled=${!first} onClick=${() => go(0)}>First</button>
    <button disabled=${!first} onClick=${() => go(first - step)}>Previous</button>
    <span aria-live="polite">${count(first + 1)} to ${count(last)} of ${count(total)}</span>
    <button disabled=${last >= total} onClick=${() => go(first + step)}>Next</button>
    <button disabled=${last >= total} onClick=${() => go(end)}>Last</button>
  </nav>`;
}
