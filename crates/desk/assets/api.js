// Speaking with the server: JSON, problems in their own form, and what to say when the session is over.

import { notice } from "./dom.js";

/** An answer that was no success. `message` is the server's own sentence. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.errors?.[0]?.detail ?? body?.detail ?? body?.title ?? `The server answered ${status}.`);
    this.status = status;
  }
}

const ENDED = "This page's session has ended. Open the new one-time link that casewire prints when it starts.";

async function request(method, path, body, headers = {}) {
  const options = { method, headers: { Accept: "application/json", ...headers }, credentials: "same-origin" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem(0, { detail: "casewire cannot be reached. Is it still running?" });
  }
  const answer = await response.json().catch(() => null);
  if (response.status === 401) notice(ENDED);
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

/** GET, with the query parameters that have a value. */
export function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  return request("GET", path + search);
}

/** POST of a JSON body. */
export const post = (path, body, headers) => request("POST", path, body, headers);

/** PATCH of a JSON body. */
export const patch = (path, body) => request("PATCH", path, body);

/** A key under which a request takes effect once, however often it is repeated. */
export function idempotencyKey() {
  // Not randomUUID(): browsers offer it only on https and localhost, and people open this page from their phone.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Follows a stream of server-sent events and calls `onEvent(data)` for each; `onState` hears "live" whenever it is
 * connected anew, and "lost" once that does not succeed at once. What was missed between is the caller's to read:
 * a stream that begins anew may come from another process, which knows nothing of where this one stood.
 * Calling what it returns ends it.
 */
export function follow(path, type, onEvent, onState = () => {}) {
  let source;
  let failures = 0;
  let timer;
  const open = () => {
    source = new EventSource(path);
    source.onopen = () => {
      failures = 0;
      onState("live");
    };
    source.addEventListener(type, (event) => onEvent(JSON.parse(event.data)));
    source.onerror = () => {
      source.close();
      failures += 1;
      if (failures > 1) onState("lost");
      timer = setTimeout(open, failures > 1 ? 2000 : 200);
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
