// The token comes in the fragment of the address, which a browser sends to nobody. It is kept for
// this tab, and the address forgets it, so that it stays out of bookmarks and the history.

const KEY = "comfy-inventory:token";

export function takeToken() {
  const match = /[#&]token=([^&]+)/.exec(location.hash);
  if (!match) return;
  keepToken(decodeURIComponent(match[1]));
  history.replaceState(null, "", location.pathname + location.search);
}

export function token() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return kept;
  }
}

let kept = "";

export function keepToken(text) {
  kept = text;
  try {
    sessionStorage.setItem(KEY, text);
  } catch {
    return; // a browser that keeps nothing knows it until the page is closed
  }
}
