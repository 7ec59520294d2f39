// A text that one press puts on the clipboard.

import { useState } from "preact/hooks";
import { html } from "../html.js";

const SHOWN = 1500;

export function Copy({ text, what }) {
  const [isCopied, setCopied] = useState(false);
  if (!text) return "";
  const press = async () => {
    await copy(text);
    setCopied(true);
    setTimeout(() => setCopied(false), SHOWN);
  };
  return html`<button class="copy" onClick=${press} aria-label=${`Copy the ${what} ${text}`}><code>${text}</code></button>
    <span class="copied" role="status">${isCopied ? " copied" : ""}</span>`;
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // A page without HTTPS from another machine has no clipboard of that kind.
  const area = document.createElement("textarea");
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
