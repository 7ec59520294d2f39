// The sums of everything, each leading to the part that tells more.

import { count, counted, size } from "./format.js";
import { html } from "./html.js";

// `link` gives the address of a part of the page. `today`, the changes of this day, may be absent.
export function Tiles({ pages, link }) {
  const { totals, duplicates, problems, changes, packs } = pages;
  const found = problems.reduce((sum, group) => sum + group.files, 0);
  const kinds = problems.map((group) => `${count(group.files)} ${group.name}`).join(", ");
  const changed = changes.days
    .flatMap((day) => Object.entries(day.counts))
    .map(([kind, number]) => (kind === "baseline" ? 0 : number))
    .reduce((sum, number) => sum + number, 0);
  const tiles = [
    ["space", "All files", size(totals.bytes), `${counted(totals.files, "file")} in ${counted(totals.directories, "folder")}`],
    ["files", "Models", size(totals.model_bytes), counted(totals.models, "model")],
    ["problems", "Problems", count(found), kinds || "none"],
    ["duplicates", "Copies", size(duplicates.total.bytes), `${counted(duplicates.total.files, "model")} too many`],
    ["changes", "Changes", count(changed), `${pages.today === undefined ? "" : `${count(pages.today)} today, all `}within ${changes.within} days`],
    ["packs", "Node packs", count(packs.length), `${count(packs.filter((pack) => !pack.enabled).length)} disabled`],
  ];
  return html`<ul class="tiles">
    ${tiles.map(
      ([id, title, figure, note]) =>
        html`<li><a href=${link(id)}><span>${title}</span><strong>${figure}</strong><small>${note}</small></a></li>`,
    )}
  </ul>`;
}
