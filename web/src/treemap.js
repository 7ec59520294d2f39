// A treemap as SVG: the largest things of one level, and within each its own largest ones.

import { hierarchy, treemap } from "d3-hierarchy";
import { useEffect, useRef, useState } from "preact/hooks";
import { counted, size } from "./format.js";
import { html } from "./html.js";

// Things of less than this part of the whole are one rectangle: so there are 2,000 at most, and as
// many for those of each.
const LEAST = 1 / 2000;

const COLOURS = 8;

export const colourOf = (rank) => `hue-${rank < COLOURS ? rank : "rest"}`;

const LINE = 18;

const CHARACTER = 7;

// The children of `node` that are large enough, then one for all others.
export function largest(node, least) {
  const children = node.children().sort((one, other) => other.bytes - one.bytes);
  const shown = children.filter((child) => child.bytes >= least && child.bytes > 0);
  const rest = children.slice(shown.length);
  const bytes = rest.reduce((sum, child) => sum + child.bytes, 0);
  const files = rest.reduce((sum, child) => sum + child.files, 0);
  const name = rest.length === 1 ? rest[0].name : `${rest.length.toLocaleString("en-US")} smaller`;
  if (bytes) shown.push({ name, bytes, files, isRest: true });
  return shown;
}

function tree(node) {
  const least = node.bytes * LEAST;
  const top = largest(node, least).map((child, rank) => {
    const inner = child.isRest || !child.children ? [] : largest(child, least);
    return { node: child, rank, inner: inner.map((each) => ({ node: each, rank, inner: [] })) };
  });
  return { node, inner: top };
}

export function Treemap({ node, open }) {
  const box = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  const height = width < 500 ? Math.round(width * 1.1) : Math.round(Math.min(width * 0.62, 520));
  return html`<div class="treemap" ref=${box}>
    ${width > 0 &&
    html`<svg role="img" width=${width} height=${height} aria-label=${label(node)}>
      ${placed(node, width, height).map((place) => html`<${Block} place=${place} open=${open} />`)}
    </svg>`}
  </div>`;
}

const label = (node) =>
  `Treemap of ${node.name}: ${size(node.bytes)} in ${counted(node.files, "file")}. ` +
  "The list beside it has the same sizes.";

function placed(node, width, height) {
  const root = hierarchy(tree(node), (each) => each.inner)
    .sum((each) => (each.inner.length ? 0 : each.node.bytes))
    .sort((one, other) => other.value - one.value);
  treemap()
    .size([width, height])
    .paddingInner(1)
    .paddingTop((each) => (each.depth === 1 && each.children ? LINE : 0))
    .round(true)(root);
  return root
    .descendants()
    .filter((each) => each.depth && each.x1 - each.x0 >= 2 && each.y1 - each.y0 >= 2);
}

function Block({ place, open }) {
  const { node, rank } = place.data;
  const [width, height] = [place.x1 - place.x0, place.y1 - place.y0];
  const top = place.depth === 1 ? place : place.parent;
  const target = top.data.node;
  const canOpen = target.children && !target.isRest;
  const letters = Math.floor((width - 8) / CHARACTER);
  const title = `${node.name}: ${size(node.bytes)}` + (node.files > 1 ? `, ${counted(node.files, "file")}` : "");
  const words = node.name.length > letters ? `${node.name.slice(0, Math.max(letters - 1, 0))}\u2026` : node.name;
  const shade = place.depth === 1 && place.children ? "outer" : "inner";
  return html`<g
    transform=${`translate(${place.x0},${place.y0})`}
    class=${`block ${colourOf(rank)} ${shade} ${canOpen ? "opens" : ""}`}
    onClick=${canOpen ? () => open(target) : undefined}
  >
    <title>${title}</title>
    <rect width=${width} height=${height} />
    ${letters > 4 && height >= LINE && html`<text x="5" y="13">${words}</text>`}
    ${letters > 7 && height >= 2 * LINE && shade === "inner" && html`<text class="size" x="5" y="28">${size(node.bytes)}</text>`}
  </g>`;
}
