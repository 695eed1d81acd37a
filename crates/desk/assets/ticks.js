// How far a text has come, as a sign and in words.

import { el, icon } from "./dom.js";

const STATES = {
  queued: ["clock", "Queued"],
  sending: ["clock", "Sending"],
  sent: ["sent", "Sent"],
  delivered: ["delivered", "Delivered"],
  read: ["delivered", "Read"],
  failed: ["failed", "Not sent"],
  undelivered: ["failed", "Not delivered"],
  canceled: ["failed", "Canceled"],
  uncertain: ["held", "Unclear whether it was sent"],
};

/** Whether this status is one that needs somebody's attention. */
export const isProblem = (status) => status === "failed" || status === "undelivered";

/** The tick of a status; nothing for a text that came in. */
export function tick(status) {
  const [sign, words] = STATES[status] ?? [];
  return words ? el("span", { className: "tick", "data-status": status }, icon(sign), words) : null;
}
