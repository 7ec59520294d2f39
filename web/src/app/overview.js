// Is everything there, what is new, what is broken: one look answers.

import { count, counted } from "../format.js";
import { html, Section } from "../html.js";
import { Tiles } from "../tiles.js";
import { Growth } from "./growth.js";
import { Hold, Mount } from "./mount.js";
import { useNow } from "./now.js";

const CHANGES = 8;

export function Overview({ pages }) {
  const now = useNow();
  return html`<h2 class="unseen">Overview</h2>
    ${pages.machines.map((machine) => html`<${Answer} machine=${machine} isOne=${pages.isOne} />`)}
    ${pages.machines.flatMap((machine) => (machine.pages.status?.holds ?? []).map((hold) => html`<${Hold} key=${hold.id} machine=${machine} hold=${hold} isOne=${pages.isOne} />`))}
    <${Section} id="mounts" title="Drives">
      <div class="cards">${pages.machines.flatMap((machine) => machine.pages.drives.map((drive) => html`<${Mount} machine=${machine} drive=${drive} now=${now} isOne=${pages.isOne} />`))}</div>
    <//>
    <${Tiles} pages=${pages} link=${(id) => `#/${id}`} />
    <${News} changes=${pages.changes} />
    <${Growth} pages=${pages} />`;
}

function Answer({ machine, isOne }) {
  const { status, attention } = machine.pages;
  const name = isOne ? "" : `${machine.name}: `;
  const problems = status ? status.problems : attention;
  if (!problems.length) return html`<p class="answer fine">${name}${status ? status.answer : "Nothing needs attention."}</p>`;
  return html`<div class="answer">
    <strong>${name}${counted(problems.length, "thing")} ${problems.length === 1 ? "needs" : "need"} you</strong>
    <ul>
      ${problems.map((clause) => html`<li>${clause}</li>`)}
    </ul>
  </div>`;
}

function News({ changes }) {
  const isNews = ([kind]) => kind !== "baseline";
  const day = changes.days.find(({ entries }) => entries.some(isNews));
  return html`<${Section} id="news" title="Last changes" note=${day ? `${day.date}: ${counts(day.counts)}` : ""}>
    ${!day && html`<p>Nothing changed within ${changes.within} days.</p>`}
    ${day &&
    html`<ul class="news">
        ${day.entries.filter(isNews).slice(0, CHANGES).map(([kind, text, machine]) => html`<li class="path">${machine && html`<small>${machine}</small> `}${text}</li>`)}
      </ul>
      <p><a href="#/changes">All changes</a></p>`}
  <//>`;
}

const counts = (kinds) =>
  Object.entries(kinds)
    .filter(([kind]) => kind !== "baseline")
    .map(([kind, number]) => `${count(number)} ${kind}`)
    .join(", ");

