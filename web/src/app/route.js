// Which page is shown: the part of the address behind #/. It never reaches the server.

import { signal } from "@preact/signals";

export const route = signal(read());

function read() {
  return /^#\/([a-z]+)/.exec(location.hash)?.[1] ?? "overview";
}

addEventListener("hashchange", () => (route.value = read()));

export const go = (page) => (location.hash = `#/${page}`);
