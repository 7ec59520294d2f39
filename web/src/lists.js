// Problems, copies, changes, packs and drives.

import { count, counted, share, size } from "./format.js";
import { html, Section } from "./html.js";
import { Table } from "./table.js";

// Rows say of which machine they are where there is more than one.
const path = (text, machine = "") => html`<span class="path">${machine && html`<small class="of">${machine}</small> `}${text}</span>`;

export function Problems({ groups }) {
  return html`<${Section} id="problems" title="Problems">
    ${groups.length === 0 && html`<p>Nothing is broken, unfinished, misplaced or hidden.</p>`}
    ${groups.map(
      (group) =>
        html`<details open=${groups.length < 3 || group.name === "broken"}>
          <summary>
            <h3>${group.title}</h3>
            <span class="badge">${count(group.files)}</span>
            ${group.bytes > 0 && html`<span class="note">${size(group.bytes)}</span>`}
          </summary>
          <p class="note">${group.advice}</p>
          ${group.rows.length < group.files && html`<p class="note">The largest ${count(group.rows.length)} are shown.</p>`}
          <${Table} caption=${group.title} columns=${PROBLEM} rows=${group.rows} perPage=${10} />
        </details>`,
    )}
  <//>`;
}

const PROBLEM = [
  {
    title: "File",
    value: (row) => row.path,
    show: (row) => html`${path(row.path, row.machine)} <small>${[row.word, row.text].filter(Boolean).join(": ")}</small>`,
  },
  { title: "Size", number: true, value: (row) => row.size, show: (row) => (row.size ? size(row.size) : "") },
];

export function Duplicates({ page, title = "Copies" }) {
  const { total, proven } = page;
  const note =
    total.sets > 0 &&
    `${counted(total.files, "model")} too many, ${size(total.bytes)}. ${size(proven.bytes)} of this is proven by ` +
      "content; the rest is likely, by samples. comfy-inventory duplicates tells more, and prints scripts.";
  return html`<${Section} id="duplicates" title=${title} note=${note}>
    ${total.sets === 0 && html`<p>No two models are known to have the same content.</p>`}
    ${page.rows.length < total.sets && html`<p class="note">The ${count(page.rows.length)} sets that waste most are shown.</p>`}
    ${total.sets > 0 && html`<${Table} caption="Copies" columns=${SET} rows=${page.rows} sort=${{ column: 1, down: true }} perPage=${10} />`}
  <//>`;
}

const SET = [
  {
    title: "Files",
    value: (row) => row.paths[0],
    show: (row) =>
      html`<ul class="paths">
        ${row.paths.map((each) => html`<li>${path(each, row.machine)}</li>`)}
        ${row.count > row.paths.length && html`<li>${count(row.count - row.paths.length)} more</li>`}
      </ul>`,
  },
  { title: "Wasted", number: true, value: (row) => row.wasted, show: (row) => size(row.wasted) },
  { title: "Each", number: true, extra: true, value: (row) => row.size, show: (row) => size(row.size) },
  { title: "Copies", number: true, extra: true, value: (row) => row.count, show: (row) => count(row.count) },
  { title: "Same", extra: true, value: (row) => (row.proven ? "proven" : "likely") },
];

export function Changes({ page, note }) {
  return html`<${Section} id="changes" title="Changes" note=${note}>
    ${page.days.length === 0 && html`<p>Nothing changed.</p>`}
    ${page.days.map(
      (day, index) =>
        html`<details open=${index === 0}>
          <summary>
            <h3>${day.date}</h3>
            ${Object.entries(day.counts).map(([kind, number]) => html`<span class=${`kind ${kind}`}>${count(number)} ${kind}</span>`)}
          </summary>
          <${Table} caption=${`Changes of ${day.date}`} columns=${CHANGE} rows=${day.entries} perPage=${15} />
        </details>`,
    )}
    ${page.before > 0 && html`<p class="note">${counted(page.before, "earlier line")} not shown.</p>`}
  <//>`;
}

const CHANGE = [{ title: "Change", value: (row) => row[1], show: (row) => path(row[1], row[2]) }];

export function Packs({ packs }) {
  return html`<${Section} id="packs" title="Node packs">
    ${packs.length === 0 && html`<p>No node packs.</p>`}
    ${packs.length > 0 && html`<${Table} caption="Node packs" columns=${PACK} rows=${packs} />`}
  <//>`;
}

const PACK = [
  {
    title: "Name",
    value: (row) => row.name,
    show: (row) => html`${path(row.name, row.machine)} <small>${row.path}</small>`,
  },
  { title: "Version", extra: true, value: (row) => row.version },
  { title: "Source", extra: true, value: (row) => row.source },
  { title: "State", short: true, value: (row) => (row.enabled ? "enabled" : "disabled") },
  { title: "Files", number: true, extra: true, value: (row) => row.files, show: (row) => count(row.files) },
  { title: "Size", number: true, value: (row) => row.bytes, show: (row) => size(row.bytes) },
];

export function Drives({ drives }) {
  return html`<${Section} id="drives" title="Drives">
    <div class="cards">${drives.map((drive) => html`<${Drive} drive=${drive} />`)}</div>
  <//>`;
}

function Drive({ drive }) {
  const used = drive.bytes - drive.free;
  return html`<article class="card">
    <h3 class="path">${drive.point}</h3>
    <p class="note path">${[drive.type, drive.source].filter(Boolean).join(", ")}</p>
    ${drive.bytes > 0 &&
    html`<span class="meter" aria-hidden="true"><span style=${{ width: `${(100 * used) / drive.bytes}%` }}></span></span>
      <p>${size(drive.free)} free of ${size(drive.bytes)} (${share(drive.free, drive.bytes)})</p>`}
    <ul class="roots">
      ${drive.roots.map(
        (root) =>
          html`<li>
            <span class=${`state ${root.state}`}>${root.state}</span>
            <span class="path">${root.path}</span>
            <small>
              ${root.kind}, ${counted(root.files, "file")}, ${size(root.bytes)}${root.state !== "online" && root.since
                ? `, since ${root.since}`
                : ""}${root.reason ? `: ${root.reason}` : ""}
            </small>
          </li>`,
      )}
    </ul>
  </article>`;
}
