// Requests to the server. Addresses are relative, so that the page works below any path.

import { token } from "./token.js";

const BASE = new URL("api/v1/", document.baseURI);

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function address(route, parameters = {}) {
  const url = new URL(route, BASE);
  for (const [name, value] of Object.entries(parameters)) if (value !== "") url.searchParams.set(name, value);
  return url;
}

async function ask(route, parameters, options) {
  const headers = { ...options.headers };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  const answer = await fetch(address(route, parameters), { ...options, headers });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const body = await answer.json().catch(() => null);
  throw new ApiError(answer.status, body?.error ?? `the server answered ${answer.status}`);
}

// The browser keeps answers by their ETag, so what is not new is not sent again.
export const get = (route, parameters = {}) => ask(route, parameters, { cache: "no-cache" });

export const post = (route, parameters, body, headers = {}) => ask(route, parameters, { method: "POST", body, headers });

export const postJson = (route, value) => post(route, {}, JSON.stringify(value), { "Content-Type": "application/json" });
