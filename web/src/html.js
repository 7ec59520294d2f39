import htm from "htm";
import { h } from "preact";

export const html = htm.bind(h);

// A part of the page with a heading that links lead to.
export function Section({ id, title, note, children }) {
  return html`<section id=${id} aria-labelledby=${`${id}-title`}>
    <h2 id=${`${id}-title`}>${title}</h2>
    ${note && html`<p class="note">${note}</p>`} ${children}
  </section>`;
}
