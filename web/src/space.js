// Where the space goes: a treemap, and the same as a list that keys and screen readers can use.

import { useMemo, useState } from "preact/hooks";
import { EVERYTHING } from "./choose.js";
import { count, counted, share, size } from "./format.js";
import { html, Section } from "./html.js";
import { folderTree, groupTree } from "./nodes.js";
import { selection, table } from "./state.js";
import { colourOf, largest, Treemap } from "./treemap.js";

const VIEWS = {
  Folders: (space, files) => folderTree(space, files),
  Categories: (space, files) => groupTree(space, files, ["category", "base"]),
  "Base models": (space, files) => groupTree(space, files, ["base", "category"]),
  Drives: (space, files) => groupTree(space, files, ["drive", "category"]),
};

const LISTED = 12;

// Where one folder has nearly everything, the first thing to see is what is in that.
const NEARLY_ALL = 0.9;

function start(root) {
  const names = [];
  for (let node = root; ; ) {
    const next = node.children().find((child) => child.children && child.bytes > NEARLY_ALL * node.bytes);
    if (!next) return names;
    names.push(next.name);
    node = next;
  }
}

// `showFiles` leads to the list of files, which is then chosen from.
export function Space({ space, showFiles }) {
  const [view, setView] = useState("Folders");
  const [chosen, setNames] = useState(null);
  const files = table.value;
  const root = useMemo(() => VIEWS[view](space, files), [view, space, files]);
  const names = useMemo(() => chosen ?? start(root), [chosen, root]);
  const trail = [root];
  for (const name of names) {
    const next = trail.at(-1).children?.().find((child) => child.name === name && child.children);
    if (next) trail.push(next);
  }
  const node = trail.at(-1);
  const open = (child) => setNames([...trail.slice(1).map((each) => each.name), child.name]);
  const choose = (each) => {
    setView(each);
    setNames(null);
  };
  return html`<${Section}
    id="space"
    title="Where the space goes"
    note="Each file counts once, however many links lead to it."
  >
    <div class="bar">
      <div class="choice" role="group" aria-label="Group by">
        ${Object.keys(VIEWS).map(
          (each) =>
            html`<button aria-pressed=${each === view} onClick=${() => choose(each)}>${each}</button>`,
        )}
      </div>
    </div>
    <nav class="trail" aria-label="Place in the tree">
      ${trail.map((each, depth) =>
        each === node
          ? html`<span aria-current="location">${each.name}</span>`
          : html`<button class="link" onClick=${() => setNames(names.slice(0, depth))}>${each.name}</button>
              <span aria-hidden="true"> / </span>`,
      )}
      <span class="sum">${size(node.bytes)} in ${counted(node.files, "file")}</span>
    </nav>
    <div class="split">
      <${Treemap} node=${node} open=${open} />
      <${List} node=${node} open=${open} showFiles=${showFiles} />
    </div>
  <//>`;
}

function List({ node, open, showFiles }) {
  const children = largest(node, 0);
  const shown = children.slice(0, LISTED);
  const rest = children.slice(LISTED);
  const show = () => {
    selection.value = { ...EVERYTHING, models: false, ...node.filter };
    showFiles();
  };
  return html`<div class="list">
    <ul>
      ${shown.map(
        (child, rank) =>
          html`<li class=${colourOf(rank)}>
            <span class="swatch" aria-hidden="true"></span>
            <span class="what">
              ${child.children && !child.isRest
                ? html`<button class="link" onClick=${() => open(child)}>${child.name}</button>`
                : child.name}
              <span class="meter" aria-hidden="true">
                <span style=${{ width: `${(100 * child.bytes) / (node.bytes || 1)}%` }}></span>
              </span>
            </span>
            <span class="amount">
              ${size(child.bytes)} <small>${share(child.bytes, node.bytes)}</small>
            </span>
          </li>`,
      )}
      ${rest.length > 0 &&
      html`<li class="hue-rest">
        <span class="swatch" aria-hidden="true"></span>
        <span class="what">${count(rest.length)} more</span>
        <span class="amount">${size(rest.reduce((sum, child) => sum + child.bytes, 0))}</span>
      </li>`}
    </ul>
    ${table.value && html`<button onClick=${show}>Show these in the list of files</button>`}
  </div>`;
}
