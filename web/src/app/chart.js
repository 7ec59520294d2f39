// Lines over time, drawn by uPlot. The figures stand in a table or a list beside it, too.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { html } from "../html.js";

const HEIGHT = 220;

// `times` are seconds since 1970, `lines` {label, values, colour}: the name of a colour of the style. `format` and
// `clock` make texts of a value and a time.
export function Chart({ label, times, lines, format, clock }) {
  const box = useRef(null);
  const plot = useRef(null);
  useEffect(() => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const options = {
      width: box.current.clientWidth,
      height: HEIGHT,
      scales: { y: { range: (_, least, most) => [0, most * 1.1 || 1] } },
      legend: { live: false },
      axes: [{ ...axis, space: 90, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 70, values: (_, ticks) => ticks.map(format) }],
      series: [{}, ...lines.map((line) => ({ label: line.label, stroke: colour(line.colour), width: 2, value: (_, value) => (value === null || value === undefined ? "" : format(value)) }))],
    };
    plot.current = new uPlot(options, [times, ...lines.map((line) => line.values)], box.current);
    const observer = new ResizeObserver(([entry]) => plot.current.setSize({ width: Math.floor(entry.contentRect.width), height: HEIGHT }));
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      plot.current.destroy();
    };
  }, [lines.map((line) => line.label).join()]);
  useEffect(() => plot.current?.setData([times, ...lines.map((line) => line.values)]), [times.length, times.at(-1), lines[0].values.at(-1)]);
  return html`<div class="chart" role="img" aria-label=${label} ref=${box}></div>`;
}
