// What several parts of the page share.

import { signal } from "@preact/signals";
import { EVERYTHING } from "./choose.js";

// The files; null until they are there.
export const table = signal(null);

// Which files the list shows.
export const selection = signal(EVERYTHING);
