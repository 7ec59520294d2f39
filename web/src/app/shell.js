// What stands around every page: name, machines, parts, and whether the server still answers.

import { useEffect, useRef } from "preact/hooks";
import { count, time, wall } from "../format.js";
import { html } from "../html.js";
import { chooseMachine, chosenMachine, lost, machines, unreadable } from "./model.js";
import { route } from "./route.js";

export const PAGES = {
  overview: "Overview",
  space: "Space",
  models: "Models",
  changes: "Changes",
  duplicates: "Duplicates",
  problems: "Problems",
  workflows: "Workflows",
  unused: "Unused",
  packs: "Packs",
  drives: "Drives",
};

export function Shell({ pages, children }) {
  const main = useRef(null);
  const wasShown = useRef(false);
  const page = route.value;
  const title = PAGES[page] ?? PAGES.overview;
  useEffect(() => {
    main.current.parentElement.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    document.title = `${title} - ComfyUI inventory`;
    // One who reads with the ears hears the new page; the first one begins at the top.
    if (wasShown.current) main.current.focus();
    wasShown.current = true;
  }, [title]);
  return html`<a class="skip" href=${`#/${page}`} onClick=${(event) => (event.preventDefault(), main.current.focus())}>To the content</a>
    <div class="shell">
      <header class="side">
        <h1>ComfyUI inventory</h1>
        <${Chooser} />
        <nav aria-label="Pages">
          <ul>
            ${Object.entries(PAGES).map(([id, text]) => html`<li><a href=${`#/${id}`} aria-current=${id === page ? "page" : undefined}>${text}${badge(id, pages)}</a></li>`)}
          </ul>
        </nav>
        ${pages.machines.map((each) => html`<p class="note as-of">${!pages.isOne && html`${each.name}: `}Scan ${count(each.pages.scan)} of ${each.pages.generated}</p>`)}
      </header>
      <main ref=${main} tabindex="-1" aria-label=${title}>
        <${Connection} />
        ${children}
      </main>
    </div>`;
}

function badge(id, pages) {
  const number = id === "problems" ? pages.problems.reduce((sum, group) => sum + group.files, 0) : 0;
  return number > 0 && html` <span class="badge">${count(number)}<span class="unseen"> found</span></span>`;
}

function Chooser() {
  if (machines.value.length < 2) return null;
  return html`<label class="machine">
    Machine
    <select onChange=${(event) => chooseMachine(event.target.value || null)}>
      <option value="">all machines</option>
      ${machines.value.map(({ name }) => html`<option value=${name} selected=${name === chosenMachine.value}>${name}</option>`)}
    </select>
  </label>`;
}

// The last answer stays on the screen, so the page says that it is old.
function Connection() {
  return html`<div role="alert">
    ${unreadable.value.map(({ name, error }) => html`<p class="answer path"><strong>${name}:</strong> ${error}</p>`)}
    ${lost.value &&
    html`<p class="answer away">
      <strong>The server has not answered since ${time(wall(lost.value.since / 1000))}.</strong> What you see is its last answer. This page keeps
      asking. ${lost.value.reason && html`<small>${lost.value.reason}.</small>`}
    </p>`}
  </div>`;
}
