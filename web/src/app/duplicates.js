// The script of the command line, to be read and run by a person.

import { useState } from "preact/hooks";
import { html, Section } from "../html.js";
import { address } from "./api.js";

const STEPS = { link: "hard links in place of copies", reflink: "copies that share their blocks (btrfs, xfs, apfs)", delete: "deletion of the others" };

const KEEP = { "": "the one that ComfyUI loads", fastest: "the one on the fastest drive", oldest: "the oldest", newest: "the newest" };

export function Script({ pages }) {
  const [choice, setChoice] = useState({ machine: pages.machines[0].name, step: "link", keep: "fastest", shell: "sh" });
  if (!pages.duplicates.total.sets) return null;
  const set = (name) => (event) => setChoice({ ...choice, [name]: event.target.value });
  const names = Object.fromEntries(pages.machines.map(({ name }) => [name, name]));
  return html`<${Section} id="script" title="A script to read and run" note="It looks at each file again before it does anything. This page runs nothing and deletes nothing.">
    <form class="bar" onSubmit=${(event) => event.preventDefault()}>
      ${!pages.isOne && html`<${Select} label="Machine" options=${names} value=${choice.machine} change=${set("machine")} />`}
      <${Select} label="Make" options=${STEPS} value=${choice.step} change=${set("step")} />
      <${Select} label="Keep" options=${KEEP} value=${choice.keep} change=${set("keep")} />
      <${Select} label="Shell" options=${{ sh: "sh", powershell: "PowerShell" }} value=${choice.shell} change=${set("shell")} />
      <a class="button" href=${address("duplicates/script", choice)} download=${choice.shell === "sh" ? "duplicates.sh" : "duplicates.ps1"}>Download the script</a>
    </form>
  <//>`;
}

function Select({ label, options, value, change }) {
  return html`<label>
    ${label}
    <select onChange=${change}>
      ${Object.entries(options).map(([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`)}
    </select>
  </label>`;
}
