// The page of `serve`: parts of it are those of the report, and it follows what the server tells.

import { render } from "preact";
import { useEffect } from "preact/hooks";
import { html, Section } from "../html.js";
import { Changes, Duplicates, Packs, Problems } from "../lists.js";
import "../look.css";
import { Space } from "../space.js";
import "./app.css";
import { DrivesPage } from "./drives.js";
import { Script } from "./duplicates.js";
import { Login } from "./login.js";
import { follow } from "./live.js";
import { fetchTables, lost, needsToken, pages, readers, unreadable } from "./model.js";
import { Models } from "./models.js";
import { Overview } from "./overview.js";
import { go, route } from "./route.js";
import { Shell } from "./shell.js";
import { takeToken } from "./token.js";
import { Unused } from "./unused.js";
import { Workflows } from "./workflows.js";

const PAGES = {
  overview: ({ pages }) => html`<${Overview} pages=${pages} />`,
  space: ({ pages }) => html`<${WithTable}><${Space} space=${pages.space} showFiles=${() => go("models")} /><//>`,
  models: ({ pages }) => html`<${WithTable}><${Models} pages=${pages} /><//>`,
  changes: ({ pages }) => html`<${Changes} page=${pages.changes} note=${`Within ${pages.changes.within} days. New ones appear here by themselves.`} />`,
  duplicates: ({ pages }) => html`<${Duplicates} page=${pages.duplicates} title="Duplicates" /><${Script} pages=${pages} />`,
  problems: ({ pages }) => html`<${Problems} groups=${pages.problems} />`,
  workflows: ({ pages }) => html`<${Workflows} pages=${pages} />`,
  unused: ({ pages }) => html`<${Unused} pages=${pages} />`,
  packs: ({ pages }) => html`<${Packs} packs=${pages.packs} />`,
  drives: ({ pages }) => html`<${DrivesPage} pages=${pages} />`,
};

// The table is large, so it is fetched for the pages that show it.
function WithTable({ children }) {
  useEffect(() => {
    readers.value++;
    fetchTables();
    return () => readers.value--;
  }, []);
  return children;
}

// Before the first scan there is nothing to show but why.
function Empty() {
  const reasons = lost.value ? [`${lost.value.reason || "The server does not answer"}. This page keeps asking.`] : unreadable.value.map((machine) => machine.error);
  return html`<main><${Section} id="start" title="ComfyUI inventory">
    ${reasons.length === 0 && html`<p role="status">Reading the inventory ...</p>`}
    ${reasons.map((reason) => html`<p class="answer path">${reason}</p>`)}
    ${reasons.length > 0 && html`<p>Once the first scan has ended, the inventory appears here by itself.</p>`}
  <//></main>`;
}

function App() {
  if (needsToken.value) return html`<${Login} />`;
  if (!pages.value) return html`<${Empty} />`;
  const Page = PAGES[route.value] ?? PAGES.overview;
  return html`<${Shell} pages=${pages.value}><${Page} pages=${pages.value} key=${route.value} /><//>`;
}

async function start() {
  takeToken();
  const app = document.getElementById("app");
  app.replaceChildren();
  render(html`<${App} />`, app);
  await follow();
  document.documentElement.dataset.ready = "yes";
}

start();
