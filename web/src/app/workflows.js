// A workflow is dropped here, and the page says what it needs and what is missing.

import { useRef, useState } from "preact/hooks";
import { counted } from "../format.js";
import { html, Section } from "../html.js";
import { post } from "./api.js";

// As ComfyUI's users see them, the worst first.
const STATES = { missing: "missing", broken: "broken", offline: "away", other_precision: "other precision", elsewhere: "elsewhere", present: "here" };

const ORDER = Object.keys(STATES);

export function Workflows({ pages }) {
  const [answers, setAnswers] = useState([]);
  const [isOver, setOver] = useState(false);
  const [machine, setMachine] = useState(pages.machines[0].name);
  const input = useRef(null);
  const check = async (files) => {
    const found = [];
    for (const file of files) found.push(await checked(machine, file));
    setAnswers((known) => [...found.reverse(), ...known]);
  };
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    check([...event.dataTransfer.files]);
  };
  const over = (event) => {
    event.preventDefault();
    setOver(true);
  };
  return html`<${Section} id="workflows" title="Workflows" note="Which models does a workflow need, and are they here? Nothing is kept, and nothing is downloaded.">
      ${!pages.isOne &&
      html`<div class="bar"><label>Machine
        <select onChange=${(event) => setMachine(event.target.value)}>${pages.machines.map(({ name }) => html`<option value=${name} selected=${name === machine}>${name}</option>`)}</select></label></div>`}
      <div class=${`drop ${isOver ? "over" : ""}`} onDragOver=${over} onDragLeave=${() => setOver(false)} onDrop=${drop}>
        <p>Drop a workflow here: JSON, or a picture or video that ComfyUI saved.</p>
        <input class="unseen" type="file" id="workflow-file" multiple ref=${input} tabindex="-1" aria-hidden="true" onChange=${(event) => (check([...event.target.files]), (event.target.value = ""))} />
        <button onClick=${() => input.current.click()}>Choose files</button>
      </div>
    <//>
    <div aria-live="polite">${answers.map((answer) => html`<${Answer} answer=${answer} />`)}</div>`;
}

async function checked(machine, file) {
  try {
    const answer = await post("workflow", { machine, filename: file.name }, file, { "Content-Type": "application/octet-stream" });
    const [workflow] = answer.workflows;
    return { name: file.name, error: workflow.error ?? "", needs: workflow.needs, isReady: workflow.ready };
  } catch (error) {
    return { name: file.name, error: error.message, needs: [], isReady: false };
  }
}

let number = 0;

function Answer({ answer }) {
  const id = useRef(`workflow-${++number}`).current;
  const { name, error, needs, isReady } = answer;
  const active = needs.filter((need) => need.active);
  const lacking = active.filter((need) => need.state !== "present");
  const ordered = [...needs].sort((one, other) => other.active - one.active || ORDER.indexOf(one.state) - ORDER.indexOf(other.state));
  const sentence = error || (isReady ? (active.length ? `All ${counted(active.length, "model")} that it needs are here.` : "It needs no models.") : `${counted(lacking.length, "model")} of ${active.length} ${lacking.length === 1 ? "is" : "are"} not where ComfyUI looks.`);
  return html`<${Section} id=${id} title=${name}>
    <p class=${`answer ${isReady ? "fine" : ""}`}>${sentence}</p>
    <ul class="needs">
      ${ordered.map((need) => html`<${Need} need=${need} />`)}
    </ul>
  <//>`;
}

function Need({ need }) {
  return html`<li>
    <span class=${`state ${need.state === "present" ? "online" : ""}`}>${STATES[need.state]}</span> <span class="path">${need.name}</span> <small>${[need.category, !need.active && "in a node that is off"].filter(Boolean).join(", ")}</small>
    ${need.state !== "present" && need.reason && html`<p class="note">${need.reason}</p>`}
    ${need.found && need.state !== "present" && html`<p class="note path">${need.found}</p>`}
    ${need.notes.map((note) => html`<p class="note">${note}</p>`)}
    ${need.command ? html`<pre tabindex="0" aria-label="Command that downloads it"><code>${need.command}</code></pre>` : need.url && need.state === "missing" && html`<p class="note path">The workflow names this address: ${need.url}</p>`}
  </li>`;
}
