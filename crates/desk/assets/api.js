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
 * Follows a stream of server-sent events and calls `onEvent(data)` for each; `onState` hears "live" and "lost".
 * The browser reconnects by itself and says where it stood; when it gives up, this starts anew.
 */
export function follow(path, type, onEvent, onState = () => {}) {
  let source;
  let stopped = false;
  const open = () => {
    source = new EventSource(path);
    source.onopen = () => onState("live");
    source.addEventListener(type, (event) => onEvent(JSON.parse(event.data)));
    source.onerror = () => {
      onState("lost");
      if (source.readyState === EventSource.CLOSED && !stopped) setTimeout(() => stopped || open(), 3000);
    };
  };
  open();
  return () => {
    stopped = true;
    source.close();
  };
}
