// The page: unpacks what stands in it, the sums first and then the table of files.

import { render } from "preact";
import { Files, unpack } from "./data.js";
import { FilesSection } from "./files.js";
import { count } from "./format.js";
import { html } from "./html.js";
import { Changes, Drives, Duplicates, Packs, Problems } from "./lists.js";
import "./look.css";
import { Space } from "./space.js";
import { table } from "./state.js";
import { Tiles } from "./tiles.js";

const PARTS = { space: "Space", problems: "Problems", duplicates: "Copies", changes: "Changes", files: "Files", packs: "Packs", drives: "Drives" };

const showFiles = () => document.getElementById("files").scrollIntoView();

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
      <${Tiles} pages=${pages} link=${(id) => `#${id}`} />
      <${Space} space=${pages.space} showFiles=${showFiles} />
      <${Problems} groups=${pages.problems} />
      <${Duplicates} page=${pages.duplicates} />
      <${Changes} page=${pages.changes} note=${`Within ${pages.changes.within} days before this report.`} />
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
