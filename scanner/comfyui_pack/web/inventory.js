// The Inventory tab of ComfyUI's sidebar. All texts come from files that others wrote: they go into
// the page as text nodes only.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

const TAB = "comfy-inventory";
const EVERY = 3000; // milliseconds between two questions to our own route; it answers from memory
const TOAST = 8000;

const STATES = {
  present: "here",
  elsewhere: "elsewhere",
  offline: "offline",
  broken: "broken",
  other_precision: "other precision",
  missing: "missing",
};

const panel = {
  state: null, // the last answer of /state
  workflow: null, // the last answer of /workflow
  graph: "", // the workflow that it was asked for
  body: null, // the element of the tab while it is open
  sections: {},
};

// ---- asking

async function ask(path, options) {
  try {
    const response = await api.fetchApi(`/comfy_inventory/${path}`, options);
    return response.ok ? await response.json() : { error: await response.text() };
  } catch (error) {
    return { error: `ComfyUI does not answer (${error.message}).` };
  }
}

function send(path, document) {
  return ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: typeof document === "string" ? document : JSON.stringify(document),
  });
}

// ---- elements

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = `ci-${className}`;
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function link(url, text) {
  if (!/^https?:\/\//i.test(url)) return null;
  const made = element("a", "link", text);
  made.href = url;
  made.target = "_blank";
  made.rel = "noopener noreferrer";
  return made;
}

function size(bytes) {
  if (typeof bytes !== "number") return "";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let number = bytes;
  let unit = 0;
  while (number >= 1000 && unit < units.length - 1) {
    number /= 1000;
    unit += 1;
  }
  return `${unit && number < 10 ? number.toFixed(1) : Math.round(number)} ${units[unit]}`;
}

function when(text) {
  const moment = new Date(String(text).replace(/(\.\d{3})\d*Z$/, "$1Z"));
  return Number.isNaN(moment.getTime()) ? "" : moment.toLocaleString();
}

function row(word, kind, title, ...details) {
  return element(
    "div",
    "row",
    element("span", `word ci-${kind}`, word),
    element("div", "what", element("div", "title", title), ...details),
  );
}

function detail(text) {
  return text ? element("div", "detail", text) : null;
}

function quiet(text) {
  return element("p", "quiet", text);
}

function more(count, shown) {
  return count > shown ? quiet(`and ${count - shown} more`) : null;
}

// ---- sections

function showWorkflow(into) {
  const answer = panel.workflow;
  if (!answer) return into.replaceChildren(quiet("Looking ..."));
  if (answer.error) return into.replaceChildren(quiet(answer.error));
  const needs = answer.needs;
  if (!needs.length) return into.replaceChildren(quiet("This workflow names no models."));
  const rows = needs.map((need) => {
    const category = need.category || need.directory || "category not known";
    const source = need.state === "present" ? null : link(need.url, "Where the author has it from");
    return row(
      STATES[need.state] ?? need.state,
      need.active || need.state === "present" ? need.state : "quiet",
      need.name,
      detail(`${category}${need.active ? "" : " - in a node that is off"}`),
      detail(need.reason),
      need.state !== "present" && need.found ? detail(need.found) : null,
      ...need.notes.map(detail),
      source,
    );
  });
  const count = needs.filter((need) => need.state === "present").length;
  const sum = `${count} of ${needs.length} models are here.`;
  return into.replaceChildren(quiet(sum), ...rows);
}

async function showProblems(into) {
  const answer = await ask("problems");
  if (answer.error) return into.replaceChildren(quiet(answer.error));
  const roots = answer.roots.map((root) =>
    row(root.state, "missing", root.path, detail(root.reason), detail(`since ${when(root.since)}`)),
  );
  const rows = answer.problems.map((problem) =>
    row(problem.status, problem.counts ? "broken" : "quiet", problem.path, detail(problem.text)),
  );
  const none = roots.length + rows.length ? null : quiet("None.");
  return into.replaceChildren(
    ...[none, ...roots, ...rows, more(answer.count, rows.length)].filter(Boolean),
  );
}

async function showNew(into) {
  const answer = await ask("new");
  if (answer.error) return into.replaceChildren(quiet(answer.error));
  const rows = answer.new.map((model) => {
    const [word, kind] = model.status ? [model.status, "broken"] : ["new", "present"];
    const facts = [model.category, size(model.size), when(model.time)];
    const moved = model.kind === "moved" && !model.status ? "moved" : word;
    return row(moved, kind, model.name, detail(facts.filter(Boolean).join(", ")));
  });
  if (!rows.length) rows.push(quiet("No model came within a day."));
  return into.replaceChildren(...[...rows, more(answer.count, answer.new.length)].filter(Boolean));
}

async function showDrives(into) {
  const answer = await ask("drives");
  if (answer.error) return into.replaceChildren(quiet(answer.error));
  const mounts = answer.mounts.map((mount) => {
    const free = mount.bytes ? `${size(mount.free)} of ${size(mount.bytes)} free` : "";
    const bar = element("div", "bar", element("div", "used"));
    if (mount.bytes) {
      bar.firstChild.style.width = `${Math.round(100 * (1 - mount.free / mount.bytes))}%`;
    }
    const facts = [mount.filesystem, free].filter(Boolean).join(", ");
    return element("div", "mount", element("div", "title", mount.point), bar, detail(facts));
  });
  const roots = answer.roots.map((root) =>
    row(
      root.state,
      { online: "present", absent: "quiet" }[root.state] ?? "missing",
      root.path,
      detail([root.category || root.kind, size(root.bytes)].filter(Boolean).join(", ")),
      root.state === "online" ? null : detail(root.reason),
    ),
  );
  const accepts = answer.accept.map((each) => detail(each.command));
  return into.replaceChildren(...mounts, ...roots, ...accepts.filter(Boolean));
}

async function showSearch(into, text) {
  if (!text.trim()) return into.replaceChildren();
  const answer = await ask(`search?q=${encodeURIComponent(text)}`);
  if (answer.error) return into.replaceChildren(quiet(answer.error));
  const rows = answer.models.map((model) => {
    const facts = [model.category, model.base_model, size(model.size)].filter(Boolean).join(", ");
    const kind = model.status ? "broken" : "present";
    return row(model.status || "here", kind, model.name, detail(facts));
  });
  if (!rows.length) rows.push(quiet("No model has these words."));
  return into.replaceChildren(
    ...[...rows, more(answer.count, answer.models.length)].filter(Boolean),
  );
}

function showFastLists(into) {
  const fast = panel.state?.fast_lists;
  if (!fast) return;
  const box = element("input");
  box.type = "checkbox";
  box.checked = fast.on;
  box.addEventListener("change", async () => {
    const answer = await send("fast_lists", { on: box.checked });
    if (answer.error) toast("error", answer.error);
    await poll();
  });
  const text = " Answer ComfyUI's lists of models from the inventory";
  const label = element("label", "switch", box, text);
  const off = fast.on && fast.off ? row("off", "missing", fast.off) : null;
  into.replaceChildren(
    ...[
      label,
      off,
      quiet(
        "Without a look at the disk, while its folders are online and were scanned a short time " +
          "ago. Otherwise ComfyUI looks itself.",
      ),
    ].filter(Boolean),
  );
}

// ---- the tab

const SECTIONS = [
  ["workflow", "This workflow", showWorkflow, true],
  ["problems", "Problems", showProblems, true],
  ["new", "New since yesterday", showNew, true],
  ["drives", "Drives", showDrives, false],
  ["fast", "Fast lists", showFastLists, false],
];

function render(container) {
  addStyle();
  const search = element("input", "search");
  search.type = "search";
  search.placeholder = "Search the models";
  search.setAttribute("aria-label", "Search the models");
  const results = element("div", "results");
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => showSearch(results, search.value), 200);
  });
  panel.head = element("p", "head");
  panel.body = element("div", "panel", panel.head, search, results);
  panel.sections = {};
  for (const [name, title, show, isOpen] of SECTIONS) {
    const count = element("span", "count");
    const inside = element("div", "inside");
    const fold = element("details", name, element("summary", "", title, count), inside);
    fold.open = isOpen;
    fold.addEventListener("toggle", () => fold.open && show(inside));
    panel.sections[name] = { fold, inside, count, show };
    panel.body.append(fold);
  }
  container.replaceChildren(panel.body);
  update();
}

function update() {
  if (!panel.body || !panel.state) return;
  const { error, updated, problems } = panel.state;
  panel.head.textContent = error || (updated ? `Last scan ${when(updated)}` : "");
  panel.head.classList.toggle("ci-error", Boolean(error));
  panel.sections.workflow.count.textContent = panel.workflow?.missing || "";
  panel.sections.problems.count.textContent = problems || "";
  for (const { fold, inside, show } of Object.values(panel.sections)) {
    if (fold.open) show(inside);
  }
}

function badge() {
  const count = (panel.state?.problems ?? 0) + (panel.workflow?.missing ?? 0);
  return count ? String(count) : null;
}

function updateBadge() {
  // The front end shows the badge again when a field of its own record of the tab changes.
  const tabs = app.extensionManager.sidebarTab?.sidebarTabs ?? [];
  const own = tabs.find((tab) => tab.id === TAB);
  if (own && own.iconBadge !== badge()) own.iconBadge = badge();
}

function addStyle() {
  if (document.getElementById("ci-style")) return;
  const sheet = document.createElement("link");
  sheet.id = "ci-style";
  sheet.rel = "stylesheet";
  sheet.href = new URL("./inventory.css", import.meta.url).href;
  document.head.append(sheet);
}

// ---- what happens by itself

function toast(kind, title, text = "") {
  const toasts = app.extensionManager.toast;
  if (typeof toasts?.add !== "function") return;
  toasts.add({ severity: kind, summary: title, detail: text, life: TOAST });
}

function tellArrivals(state) {
  const names = state.arrivals.map((each) => `${each.name} (${each.category})`);
  if (!names.length) return;
  const title = state.arrived === 1 ? "A model has arrived" : `${state.arrived} models have arrived`;
  const rest = state.arrived > 5 ? [`and ${state.arrived - 5} more`] : [];
  toast("success", title, [...names.slice(-5), ...rest].join("\n"));
}

async function checkWorkflow(isNewScan) {
  let graph;
  try {
    graph = JSON.stringify((app.rootGraph ?? app.graph).serialize());
  } catch {
    return false; // the page is about to load another workflow
  }
  if (graph === panel.graph && !isNewScan) return false;
  const answer = await send("workflow", graph);
  panel.graph = answer.error ? "" : graph;
  panel.workflow = answer;
  return true;
}

let isPolling = false;

async function poll() {
  if (isPolling) return;
  isPolling = true;
  try {
    const before = panel.state;
    const state = await ask(`state?since=${before?.scan ?? -1}`);
    if (state.scan === undefined) {
      // ComfyUI is being started again: what was shown stays.
      panel.state = before ? { ...before, error: state.error } : null;
      return update();
    }
    panel.state = state;
    const isNew =
      before?.scan !== state.scan ||
      before?.updated !== state.updated ||
      before?.error !== state.error ||
      JSON.stringify(before?.fast_lists) !== JSON.stringify(state.fast_lists);
    if (before && state.names_scan > before.names_scan) {
      tellArrivals(state);
      await app.refreshComboInNodes?.();
    }
    const isOther = await checkWorkflow(isNew);
    if (isNew || isOther) update();
    updateBadge();
  } finally {
    isPolling = false;
  }
}

app.registerExtension({
  name: "comfy-inventory.panel",
  async setup() {
    app.extensionManager.registerSidebarTab({
      id: TAB,
      icon: "pi pi-box",
      iconBadge: null,
      title: "Inventory",
      tooltip: "Inventory: missing models, problems, drives",
      type: "custom",
      render,
      destroy() {
        panel.body = null;
      },
    });
    await poll();
    setInterval(poll, EVERY);
  },
});
