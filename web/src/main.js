// The page: unpacks what stands in it, the sums first and then the table of files.

import { render } from "preact";
import { Files, unpack } from "./data.js";
import { FilesSection } from "./files.js";
import { count, counted, size } from "./format.js";
import { html } from "./html.js";
import { Changes, Drives, Duplicates, Packs, Problems } from "./lists.js";
import "./report.css";
import { Space } from "./space.js";
import { table } from "./state.js";

const PARTS = { space: "Space", problems: "Problems", duplicates: "Copies", changes: "Changes", files: "Files", packs: "Packs", drives: "Drives" };

function App({ pages }) {
  return html`<header>
      <h1>ComfyUI inventory</h1>
      <p class="note">As of ${pages.generated} (${pages.zone}), scan ${count(pages.scan)}, by comfy-inventory ${pages.tool}${pages.base && `. Paths start at ${pages.base}`}</p>
      <nav aria-label="Parts of this page">
        ${Object.entries(PARTS).map(([id, title]) => html`<a href=${`#${id}`}>${title}</a>`)}
      </nav>
    </header>
    <main>
      <${Answer} clauses=${pages.attention} />
      <${Tiles} pages=${pages} />
      <${Space} space=${pages.space} />
      <${Problems} groups=${pages.problems} />
      <${Duplicates} page=${pages.duplicates} />
      <${Changes} page=${pages.changes} />
      <${FilesSection} leftOut=${pages.left_out} />
      <${Packs} packs=${pages.packs} />
      <${Drives} drives=${pages.drives} />
    </main>`;
}

function Answer({ clauses }) {
  if (!clauses.length) return html`<p class="answer fine">Nothing needs attention.</p>`;
  return html`<div class="answer">
    <strong>Something needs attention</strong>
    <ul>
      ${clauses.map((clause) => html`<li>${clause}</li>`)}
    </ul>
  </div>`;
}

function Tiles({ pages }) {
  const { totals, duplicates, problems, changes, packs } = pages;
  const found = problems.reduce((sum, group) => sum + group.files, 0);
  const kinds = problems.map((group) => `${count(group.files)} ${group.name}`).join(", ");
  const changed = changes.days
    .flatMap((day) => Object.entries(day.counts))
    .map(([kind, number]) => (kind === "baseline" ? 0 : number))
    .reduce((sum, number) => sum + number, 0);
  const tiles = [
    ["space", "All files", size(totals.bytes), `${counted(totals.files, "file")} in ${counted(totals.directories, "folder")}`],
    ["files", "Models", size(totals.model_bytes), counted(totals.models, "model")],
    ["problems", "Problems", count(found), kinds || "none"],
    ["duplicates", "Copies", size(duplicates.total.bytes), `${counted(duplicates.total.files, "model")} too many`],
    ["changes", "Changes", count(changed), `within ${changes.within} days`],
    ["packs", "Node packs", count(packs.length), `${count(packs.filter((pack) => !pack.enabled).length)} disabled`],
  ];
  return html`<ul class="tiles">
    ${tiles.map(
      ([id, title, figure, note]) =>
        html`<li><a href=${`#${id}`}><span>${title}</span><strong>${figure}</strong><small>${note}</small></a></li>`,
    )}
  </ul>`;
}

async function start() {
  const app = document.getElementById("app");
  const pages = await unpack("pages");
  app.replaceChildren();
  render(html`<${App} pages=${pages} />`, app);
  // The browser paints before it reads the table.
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  table.value = new Files(await unpack("table"), pages.space);
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  document.querySelector("#app").textContent = `This page cannot be shown: ${error.message}`;
  throw error;
});
