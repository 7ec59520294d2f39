// The page of `serve`: parts of it are those of the report, and it follows what the server tells.

import { render } from "preact";
import { useEffect } from "preact/hooks";
import { html, Section } from "../html.js";
import { Changes, Duplicates, Packs, Problems } from "../lists.js";
import "../look.css";
import { Space } from "../space.js";
import { table } from "../state.js";
import "./app.css";
import { DrivesPage } from "./drives.js";
import { Script } from "./duplicates.js";
import { Login } from "./login.js";
import { listen } from "./live.js";
import { fetchTables, lost, needsToken, openSession, pages, readers, refresh } from "./model.js";
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
  duplicates: ({ pages }) => html`<${Duplicates} page=${pages.duplicates} /><${Script} pages=${pages} />`,
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

function App() {
  if (needsToken.value) return html`<${Login} />`;
  if (!pages.value) return html`<main><${Section} id="start" title="ComfyUI inventory"><p role="status">${lost.value ? "The server does not answer. This page keeps asking." : "Reading the inventory ..."}</p><//></main>`;
  const Page = PAGES[route.value] ?? PAGES.overview;
  return html`<${Shell} pages=${pages.value}><${Page} pages=${pages.value} key=${route.value} /><//>`;
}

async function start() {
  takeToken();
  const app = document.getElementById("app");
  app.replaceChildren();
  render(html`<${App} />`, app);
  await openSession();
  await refresh();
  document.documentElement.dataset.ready = "yes";
  listen();
}

start();
