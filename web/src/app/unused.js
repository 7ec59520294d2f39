// Models that nothing names. What names them stands in the state of the computer that scans.

import { html, Section } from "../html.js";

export function Unused() {
  return html`<${Section} id="unused" title="Unused"><p>.</p><//>`;
}
