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

export const counted = (number, noun, nouns = `${noun}s`) => `${count(number)} ${number === 1 ? noun : nouns}`;

export function share(part, whole) {
  const percent = whole ? (100 * part) / whole : 0;
  return percent && percent < 0.1 ? "<0.1 %" : `${percent.toFixed(1)} %`;
}

// Seconds of the clock on the wall of the machine that scans: no time zone here.
export function time(seconds) {
  const moment = new Date(seconds * 1000);
  return isNaN(moment) ? "" : moment.toISOString().slice(0, 16).replace("T", " ");
}

// Seconds since 1970 as seconds of the clock on the wall where the browser is.
export const wall = (seconds) => seconds - 60 * new Date(seconds * 1000).getTimezoneOffset();

// A time as the files of the scanner write it: milliseconds since 1970, and as a clock on the wall
// shows it. Empty texts are no time.
export const milliseconds = (text) => Date.parse(`${text.slice(0, 23)}Z`);

export const moment = (text) => time(wall(milliseconds(text) / 1000));

const STEPS = [
  [60, "s"],
  [60, "min"],
  [24, "h"],
  [Infinity, "days"],
];

// A length of time in one word and one unit.
export function span(seconds) {
  let number = Math.abs(seconds);
  for (const [limit, unit] of STEPS) {
    if (Math.round(number) < limit) return `${Math.round(number)} ${unit === "days" && Math.round(number) === 1 ? "day" : unit}`;
    number /= limit;
  }
}

// A time of the scanner's files relative to `now`, in milliseconds.
export function relative(text, now) {
  const seconds = (milliseconds(text) - now) / 1000;
  return seconds > 0 ? `in ${span(seconds)}` : `${span(seconds)} ago`;
}
