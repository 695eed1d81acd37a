// One case: its texts and events in order, the reply box, and closing and reopening.

import { get, idempotencyKey, patch, post } from "./api.js";
import { announce, byId, clock, day, el, reconcile, sendOnEnter, stickToEnd, time, visible } from "./dom.js";
import { LONGEST, describe } from "./segments.js";
import { isProblem, tick } from "./ticks.js";

// What a person should not miss. It stands in the thread by itself, as does what concerns no single text;
// the other events are the story of one text and appear under it.
const HELD = new Set(["acknowledgement_withheld", "duplicate_send_detected"]);

/** The thread pane; `onChanged()` is called when something was done to the case. */
export class Thread {
  #number = null;
  #case = null;
  #drafts = new Map();
  #key = idempotencyKey();
  #reading = 0;

  constructor(onChanged) {
    this.onChanged = onChanged;
    const reply = byId("reply");
    sendOnEnter(reply);
    reply.addEventListener("input", () => this.#draft());
    byId("reply-form").addEventListener("submit", (event) => this.#send(event));
    byId("status-button").addEventListener("click", () => this.#turn());
    byId("timeline").addEventListener("click", (event) => this.#resolve(event.target.closest("button[data-verdict]")));
  }

  /** The number of the case shown. */
  get number() {
    return this.#number;
  }

  /** Whether somebody is in the middle of a reply. */
  get isWriting() {
    return document.activeElement === byId("reply") && byId("reply").value.trim() !== "";
  }

  /** Shows another case. */
  async show(number) {
    this.#number = number;
    byId("reply").value = this.#drafts.get(number) ?? "";
    byId("timeline").replaceChildren();
    this.#draft();
    this.#complain("");
    await this.refresh(true);
  }

  /** Reads the case again. */
  async refresh(toEnd = false) {
    if (!this.#number) return;
    const reading = ++this.#reading;
    const fresh = await get(`/api/v1/cases/${this.#number}`);
    // A slower answer to an older question must not overwrite a newer one.
    if (reading !== this.#reading || fresh.number !== this.#number) return;
    this.#announce(this.#case, fresh);
    this.#case = fresh;
    this.#draw(toEnd);
  }

  #draw(toEnd) {
    const it = this.#case;
    byId("thread-empty").hidden = true;
    byId("thread-body").hidden = false;
    byId("case-contact").replaceChildren(...visible(it.contact.name));
    byId("case-number").textContent = it.number;
    byId("case-address").textContent = it.contact.address === it.contact.name ? "" : it.contact.address;
    byId("case-opened").replaceChildren("opened ", time(it.opened_at, `${day(it.opened_at)} ${clock(it.opened_at)}`));
    byId("case-status").textContent = it.status;
    byId("case-status").dataset.status = it.status;
    byId("status-button").textContent = it.status === "closed" ? "Reopen" : "Close case";
    const list = byId("timeline");
    stickToEnd(list, () => reconcile(list, this.#entries(), (entry) => entry.key, draw), toEnd);
    this.#bar(it.opted_out);
  }

  /** Texts and the events that stand alone, by time, with a line where a day begins. */
  #entries() {
    const { messages, events } = this.#case;
    const alone = (event) => !event.message || HELD.has(event.kind);
    const entries = [
      ...messages.map((message) => ({
        key: message.id, at: message.received_at, message,
        story: events.filter((event) => event.message === message.id && !alone(event)),
      })),
      ...events.filter(alone).map((event) => ({ key: `e${event.id}`, at: event.at, event })),
    ];
    entries.sort((a, b) => new Date(a.at) - new Date(b.at));
    const days = [];
    let last = "";
    for (const entry of entries) {
      const today = day(entry.at);
      if (today !== last) days.push({ key: `d${today}`, day: today });
      last = today;
      days.push(entry);
    }
    return days;
  }

  #announce(before, now) {
    if (before?.number !== now.number) return;
    const known = new Set(before.messages.map((message) => message.id));
    const fresh = now.messages.filter((message) => !known.has(message.id)).at(-1);
    if (!fresh) return;
    const who = fresh.direction === "inbound" ? now.contact.name : fresh.automatic ? "Automatic reply" : "Reply";
    announce(`${who}: ${fresh.body}`);
  }

  #draft() {
    const text = byId("reply").value;
    if (this.#number) this.#drafts.set(this.#number, text);
    byId("segments").textContent = describe(text);
    byId("segments").dataset.over = String([...text].length > LONGEST);
    this.#key = idempotencyKey();
  }

  #bar(optedOut) {
    const barred = byId("reply-barred");
    barred.hidden = !optedOut;
    barred.textContent = "This person has opted out with STOP. Nothing may be sent to them until they text START.";
    byId("reply").disabled = optedOut;
    byId("reply-form").querySelector("button").disabled = optedOut;
  }

  #complain(words) {
    byId("reply-error").textContent = words;
    byId("reply-error").hidden = !words;
  }

  /** Says what becomes of a held text. */
  async #resolve(button) {
    if (!button) return;
    const { verdict, message } = button.dataset;
    const buttons = button.parentElement.querySelectorAll("button");
    for (const each of buttons) each.disabled = true;
    try {
      await patch(`/api/v1/cases/${this.#number}/messages/${message}`, { verdict });
      this.#complain("");
      this.onChanged();
    } catch (problem) {
      this.#complain(problem.message);
      for (const each of buttons) each.disabled = false;
    }
    await this.refresh();
  }

  async #send(event) {
    event.preventDefault();
    const field = byId("reply");
    const button = byId("reply-form").querySelector("button");
    const number = this.#number;
    const body = field.value;
    if (!body.trim() || button.disabled) return;
    button.disabled = true;
    try {
      // The key stays the same until the words change: a second try after a lost answer sends nothing twice.
      await post(`/api/v1/cases/${number}/replies`, { body }, { "Idempotency-Key": this.#key });
      this.#drafts.delete(number);
      if (this.#number === number) field.value = "";
      this.#draft();
      this.#complain("");
      await this.refresh(true);
      this.onChanged();
    } catch (problem) {
      this.#complain(problem.message);
    } finally {
      button.disabled = this.#case?.opted_out ?? false;
    }
  }

  /** What to try next in the demo, by what has happened in this case so far. */
  get nextStep() {
    const it = this.#case;
    if (!it) return "text “my heater is broken” from the handset. A case opens, and its number comes back.";
    if (it.opted_out) return "text START, and they may be answered again.";
    if (it.status === "closed") return `text again. A new case opens, unless the text names ${it.number}.`;
    const inbound = it.messages.filter((message) => message.direction === "inbound").length;
    const replied = it.messages.some((message) => message.direction === "outbound" && !message.automatic);
    if (inbound < 2) return "text again. The second text joins the same case.";
    if (!replied) return "reply to the case, and watch the ticks as the text arrives here.";
    return "close the case and text again, or text STOP.";
  }

  async #turn() {
    const status = this.#case.status === "closed" ? "open" : "closed";
    try {
      await patch(`/api/v1/cases/${this.#number}`, { status });
      await this.refresh(true);
      this.onChanged();
    } catch (problem) {
      this.#complain(problem.message);
    }
  }
}

function draw(entry, old) {
  if (entry.day) return el("p", { className: "day" }, entry.day);
  if (entry.event) return drawEvent(entry.event);
  return drawMessage(entry, old?.querySelector("details")?.open ?? false);
}

function drawEvent(event) {
  const held = HELD.has(event.kind);
  const words = held ? [el("strong", {}, event.words), event.reason] : [event.words];
  return el("p", { className: held ? "event held" : "event" }, ...words.filter(Boolean), time(event.at, clock(event.at)));
}

function drawMessage({ message, story }, open) {
  const { direction, status, automatic } = message;
  const kind = ["message", direction, automatic && "automatic", isProblem(status) && "problem"].filter(Boolean);
  return el("article", { className: kind.join(" ") },
    el("div", { className: "bubble", dir: "auto" }, ...visible(message.body || "(no words)")),
    message.media.length ? el("p", { className: "media" }, pictures(message.media.length)) : null,
    el("div", { className: "under" },
      automatic ? el("span", {}, "Automatic") : message.author ? el("span", {}, ...visible(message.author.replace(/^agent:/, ""))) : null,
      time(message.received_at, clock(message.received_at)),
      direction === "outbound" ? tick(status) : null),
    message.error ? el("p", { className: "trouble" }, message.error) : null,
    message.held ? verdicts(message.id) : null,
    reason(message.why, story, open));
}

/** What a person can say of a text that is held. */
function verdicts(id) {
  const button = (verdict, words) =>
    el("button", { type: "button", className: "ghost", "data-verdict": verdict, "data-message": id }, words);
  return el("p", { className: "verdicts", role: "group", "aria-label": "This text is held" },
    button("arrived", "It arrived"), button("send_again", "Send again"), button("do_not_send", "Do not send"));
}

const pictures = (n) => (n === 1 ? "with a picture" : `with ${n} pictures`);

/** Why a text is there, with the cases passed over; behind it the text's way. */
function reason(why, story, open) {
  const lines = story.map((event) => el("li", {}, time(event.at, clock(event.at)), ` ${event.words}`));
  const rule = [el("b", {}, "Why: "), [why.words, ...why.passed_over.map((over) => over.words)].join(" ")];
  if (lines.length === 0) return el("p", { className: "why" }, ...rule);
  return el("details", { className: "why deep", open },
    el("summary", {}, ...rule),
    el("ul", {}, ...lines));
}
