// How each mount behaves: marks as `doctor` has them, as far as the written files tell, and what
// scans cost against how often they come.

import { count, counted, milliseconds, share, size, span, wall } from "../format.js";
import { html, Section } from "../html.js";
import { Table } from "../table.js";
import { Chart } from "./chart.js";
import { CostsByDay } from "./growth.js";
import { scans } from "./live.js";
import { AWAY, Mount, rootsOn, took } from "./mount.js";
import { useNow } from "./now.js";

const LEAST_FREE = 0.05;

const LONG_VERIFICATION = 600;

export function DrivesPage({ pages }) {
  const now = useNow();
  const lanes = pages.machines.flatMap(({ name, pages: own }) => (own.status?.lanes ?? []).map((lane) => ({ ...lane, machine: name })));
  return html`<${Section} id="drives" title="Drives" note="These marks come from the files that the scanner wrote. comfy-inventory doctor examines the drives themselves.">
      <div class="cards">
        ${pages.machines.flatMap((machine) =>
          machine.pages.drives.map(
            (drive) => html`<${Mount} machine=${machine} drive=${drive} now=${now} isOne=${pages.isOne}><${Marks} marks=${marksOf(machine.pages, drive)} /><//>`,
          ),
        )}
      </div>
    <//>
    <${Section} id="cost" title="What scans cost" note="A mount is scanned as often as its share of the time allows.">
      ${lanes.length > 0 ? html`<${Table} caption="Scans of each mount" columns=${LANE} rows=${lanes} />` : html`<p>No scanner has written a status file yet.</p>`}
      <${CostsByDay} pages=${pages} format=${took} />
      ${lanes.map((lane) => html`<${Cost} lane=${lane} isOne=${pages.isOne} />`)}
    <//>`;
}

const part = (lane) => (lane.last_scan && lane.every_seconds ? lane.last_scan.seconds / lane.every_seconds : 0);

const LANE = [
  { title: "Mount", value: (lane) => lane.where, show: (lane) => html`<span class="path">${lane.where}</span> <small>${lane.error}</small>` },
  { title: "A scan takes", number: true, value: (lane) => lane.last_scan?.seconds ?? 0, show: (lane) => (lane.last_scan ? took(lane.last_scan.seconds) : "") },
  { title: "Every", number: true, value: (lane) => lane.every_seconds ?? 0, show: (lane) => (lane.every_seconds ? span(lane.every_seconds) : "") },
  { title: "Share", number: true, extra: true, value: part, show: (lane) => (part(lane) ? share(part(lane), 1) : "") },
  { title: "Files", number: true, extra: true, value: (lane) => lane.last_scan?.files ?? 0, show: (lane) => count(lane.last_scan?.files ?? 0) },
  { title: "Every file within", number: true, extra: true, value: (lane) => lane.verify_seconds, show: (lane) => span(lane.verify_seconds) },
];

// {mark, text} for each fact: "+" is fine, "!" is good to know, "x" is to be acted on.
export function marksOf(pages, drive) {
  const { status } = pages;
  const ids = rootsOn(pages, drive);
  const marks = [];
  const put = (mark, text) => marks.push({ mark, text });
  for (const root of drive.roots) if (AWAY.includes(root.state)) put("x", `${root.path} is ${root.state}${root.reason ? `: ${root.reason}` : ""}`);
  if (drive.bytes) {
    const isLow = drive.free < LEAST_FREE * drive.bytes;
    put(isLow ? "!" : "+", `${size(drive.free)} free (${share(drive.free, drive.bytes)})`);
  }
  if (!status) return marks;
  for (const hold of status.holds.filter((each) => ids.has(each.id))) put("x", `${counted(hold.files, "deletion")} held back`);
  for (const lane of status.lanes.filter((each) => each.roots.some((id) => ids.has(id)))) {
    if (lane.error) put("x", lane.error);
    else if (lane.last_scan) put("+", `The last scan read ${counted(lane.last_scan.directories, "folder")} in ${took(lane.last_scan.seconds)}`);
    put(lane.verify_seconds > LONG_VERIFICATION ? "!" : "+", `Size and time of every file are read again within ${span(lane.verify_seconds)}`);
  }
  return marks;
}

const SIGNS = { "+": ["\u2713", "fine"], "!": ["!", "good to know"], x: ["\u2717", "act on this"] };

const CLASSES = { "+": "good", "!": "note-mark", x: "bad" };

function Marks({ marks }) {
  return html`<ul class="marks">
    ${marks.map(({ mark, text }) => html`<li><span class=${`mark ${CLASSES[mark]}`} aria-hidden="true">${SIGNS[mark][0]}</span> <span class="unseen">${SIGNS[mark][1]}:</span> <span class="path">${text}</span></li>`)}
  </ul>`;
}

// Seconds of each scan since this page was opened, and the seconds between two.
function Cost({ lane, isOne }) {
  const own = scans.value.filter((scan) => scan.machine === lane.machine && scan.lane === lane.id);
  const title = `${isOne ? "" : `${lane.machine}: `}${lane.where}`;
  if (own.length < 2) return html`<p class="note">${title}: a graph begins with the next scans.</p>`;
  const times = own.map((scan) => milliseconds(scan.started) / 1000);
  const lines = [
    { label: "a scan takes", values: own.map((scan) => scan.seconds), colour: "--accent" },
    { label: "every", values: own.map((scan) => scan.every), colour: "--warn" },
  ];
  return html`<h3 class="path">${title}, since this page was opened</h3>
    <${Chart} label=${`Seconds of the last ${count(own.length)} scans of ${title}, and seconds between them`} times=${times} lines=${lines} format=${took} clock=${(seconds) => new Date(1000 * wall(seconds)).toISOString().slice(11, 19)} />`;
}
