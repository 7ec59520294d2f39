// One mount: how it is, its space, when it was looked at, and what to do if it is away or held.

import { useState } from "preact/hooks";
import { counted, milliseconds, moment, relative, share, size, span } from "../format.js";
import { html } from "../html.js";
import { postJson } from "./api.js";
import { refresh, server } from "./model.js";
import { keepToken, token } from "./token.js";

export const AWAY = ["offline", "stalled", "missing"];

// `children` stand below the facts.
export function Mount({ machine, drive, now, isOne, children }) {
  const { status } = machine.pages;
  const ids = rootsOn(machine.pages, drive);
  const lanes = (status?.lanes ?? []).filter((lane) => lane.roots.some((id) => ids.has(id)));
  const holds = (status?.holds ?? []).filter((hold) => ids.has(hold.id));
  const away = drive.roots.filter((root) => AWAY.includes(root.state));
  const isThere = drive.roots.some((root) => root.state !== "absent");
  const state = away[0]?.state ?? (holds.length ? "held" : worst(drive.roots));
  return html`<article class=${`card mount ${away.length ? "away" : ""}`}>
    <h3 class="path">${!isOne && html`<small>${machine.name}</small> `}${drive.type ? drive.point : "Folders on no known drive"}</h3>
    <p><span class=${`state ${state}`}>${state}</span> <span class="note path">${[drive.type, drive.source].filter(Boolean).join(", ")}</span></p>
    ${away.length > 0 && html`<${Away} roots=${away} commands=${(status?.accept ?? []).filter((each) => each.state === "offline" && ids.has(each.id))} />`}
    <${Room} drive=${drive} isOld=${away.length > 0 && !drive.roots.some((root) => root.state === "online")} />
    ${isThere && lanes.map((lane) => html`<${Lane} lane=${lane} now=${now} isAlive=${status.alive} />`)}
    ${isThere && children}
    <ul class="roots">
      ${drive.roots.map((root) => html`<li><span class=${`dot ${root.state}`} aria-hidden="true"></span><span class="path">${root.path}</span>
        <small>${root.state}${root.reason ? `: ${root.reason}` : ""}; ${root.kind}, ${counted(root.files, "file")}, ${size(root.bytes)}</small></li>`)}
    </ul>
  </article>`;
}

const worst = (roots) => roots.find((root) => root.state !== "online" && root.state !== "absent")?.state ?? roots.find((root) => root.state === "online")?.state ?? "absent";

const withSlashes = (path) => path.replaceAll("\\", "/");

// The ids of the roots on a drive, as the status names them, and of what links on it lead to.
export function rootsOn({ base, status }, drive) {
  const absolute = (path) => (/^(\/|[A-Za-z]:)/.test(path) || !base ? path : `${withSlashes(base)}/${path}`);
  const paths = new Set(drive.roots.map((root) => absolute(root.path)));
  const roots = (status?.roots ?? []).filter((root) => paths.has(withSlashes(root.path)));
  const mounts = (status?.mounts ?? []).filter((mount) => mount.point === drive.point);
  return new Set([...roots.map((root) => root.id), ...mounts.flatMap((mount) => mount.roots)]);
}

// Unmistakable: since when, what is kept, what to do.
function Away({ roots, commands }) {
  const files = roots.reduce((sum, root) => sum + root.files, 0);
  const bytes = roots.reduce((sum, root) => sum + root.bytes, 0);
  return html`<div class="answer away">
    <strong>Away since ${roots[0].since}</strong>
    <p class="path">${roots.map((root) => root.path).join(", ")}: ${roots[0].reason || "no answer"}. ${counted(files, "file")} (${size(bytes)}) ${files === 1 ? "stays in the inventory as it was" : "stay in the inventory as they were"} last seen.</p>
    <p>Connect the drive, or wake the NAS. The next scan takes it back by itself, and nothing is lost.</p>
    ${commands.length > 0 &&
    html`<details>
      <summary>It will not come back</summary>
      <p>These commands drop what is known of it. They delete no file.</p>
      ${commands.map((each) => html`<pre tabindex="0"><code>${each.command}</code></pre>`)}
    </details>`}
  </div>`;
}

const WHY = {
  loss: "So many files are gone at once that this looks like a lost drive.",
  mount: "Another drive stands where the known one was.",
};

export function Hold({ machine, hold, isOne }) {
  const command = machine.pages.status.accept.find((each) => each.id === hold.id)?.command;
  const [asks, setAsks] = useState(false);
  const [told, setTold] = useState("");
  const accept = async () => {
    setAsks(false);
    try {
      const answer = await postJson("accept", { machine: machine.name, place: hold.id });
      setTold(answer.accepted.map((each) => each.told).join(" "));
      await refresh();
    } catch (error) {
      setTold(`Not accepted: ${error.message}`);
      if (error.status === 401) keepToken("");
    }
  };
  return html`<div class="answer">
    <strong>${isOne ? "" : `${machine.name}: `}Deletions are held back</strong> since ${moment(hold.since)}
    <p class="path">${hold.id}</p>
    <p>${WHY[hold.kind]} ${counted(hold.files, "file")} (${size(hold.bytes)}) stay in the inventory.</p>
    <p>${hold.needs_accept ? "If they are really gone, accept it." : "The next scan that finds the drive in order decides by itself."}</p>
    ${server.value.accepts && !asks && html`<button onClick=${() => setAsks(true)}>Accept the loss</button>`}
    ${asks && html`<${Confirm} hold=${hold} accept=${accept} cancel=${() => setAsks(false)} />`}
    ${!server.value.accepts && command && html`<p>On the computer that scans:</p><pre tabindex="0"><code>${command}</code></pre>`}
    <p role="status">${told}</p>
  </div>`;
}

// Accepting needs the token. It is asked for where the address did not bring it.
function Confirm({ hold, accept, cancel }) {
  const [text, setText] = useState("");
  const hasToken = Boolean(token());
  const submit = (event) => {
    event.preventDefault();
    if (!hasToken) keepToken(text.trim());
    accept();
  };
  return html`<form class="confirm" onSubmit=${submit}>
    <p>The inventory and the change list then say that ${counted(hold.files, "file")} ${hold.files === 1 ? "is" : "are"} deleted. No file is touched.</p>
    ${!hasToken && html`<label>Token, as the server printed it <input type="password" autocomplete="current-password" value=${text} onInput=${(event) => setText(event.target.value)} /></label>`}
    <button>Yes, they are gone</button> <button type="button" onClick=${cancel}>Cancel</button>
  </form>`;
}

function Room({ drive, isOld }) {
  if (!drive.bytes) return null;
  const used = drive.bytes - drive.free;
  return html`<span class="meter" aria-hidden="true"><span style=${{ width: `${(100 * used) / drive.bytes}%` }}></span></span>
    <p>${size(drive.free)} free of ${size(drive.bytes)} (${share(drive.free, drive.bytes)})${isOld ? ", when it was last there" : ""}</p>`;
}

function Lane({ lane, now, isAlive }) {
  const { last_scan: last, next_due: next, every_seconds: every } = lane;
  const due = next && isAlive !== false && (milliseconds(next) > now ? relative(next, now) : "now");
  return html`<dl class="facts">
    <dt>Last scan</dt>
    <dd>${last ? `${relative(last.started, Math.max(now, milliseconds(last.started)))}, in ${took(last.seconds)}` : "not yet"}</dd>
    <dt>Next scan</dt>
    <dd>${due || "none planned"}${every ? `, every ${span(every)}` : ""}</dd>
    ${lane.error && html`<dt>Error</dt>
      <dd class="path">${lane.error}</dd>`}
  </dl>`;
}

export const took = (seconds) => (seconds < 10 ? `${seconds.toFixed(2)} s` : span(seconds));
