// What a person chose stays in this browser.

const PREFIX = "comfy-inventory:";

export function recall(key) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + key));
  } catch {
    return null; // not allowed here, or not ours
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    return; // a browser that keeps nothing shows the same page
  }
}
