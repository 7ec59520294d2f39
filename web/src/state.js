// What several parts of the page share.

import { signal } from "@preact/signals";

// The files; null until they are unpacked.
export const table = signal(null);

// Which files the list shows. Empty texts and null select all.
export const selection = signal({ text: "", category: "", base: "", drive: "", folder: null, path: "", models: true });
