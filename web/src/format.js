// Numbers, sizes and times as people read them. Sizes count in powers of 1000, as the program does.

const UNITS = ["B", "kB", "MB", "GB", "TB"];

export function size(bytes) {
  let unit = 0;
  let number = bytes;
  while (unit < UNITS.length - 1 && Number(number.toFixed(unit ? 1 : 0)) >= 1000) {
    number /= 1000;
    unit++;
  }
  return `${number.toFixed(unit ? 1 : 0)} ${UNITS[unit]}`;
}

export const count = (number) => number.toLocaleString("en-US");

export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

export function share(part, whole) {
  const percent = whole ? (100 * part) / whole : 0;
  return percent && percent < 0.1 ? "<0.1 %" : `${percent.toFixed(1)} %`;
}

// Seconds of the clock on the wall of the machine that scans: no time zone here.
export function time(seconds) {
  const moment = new Date(seconds * 1000);
  return isNaN(moment) ? "" : moment.toISOString().slice(0, 16).replace("T", " ");
}
