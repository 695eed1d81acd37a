// The pretend phone: texts through the simulated Twilio, shown as its owner would see them.

import { follow, post } from "./api.js";
import { announce, byId, clock, el, reconcile, sendOnEnter, stickToEnd, time, visible } from "./dom.js";
import { tick } from "./ticks.js";

const FIRST_NUMBER = "+12065550100";
const REMEMBERED = "casewire.handset";
const REFUSED = "casewire did not take this text. Its log says why.";

/** The handset pane; `onTexted()` is called after a text left. */
export class Handset {
  #line;
  #number = localStorage.getItem(REMEMBERED) ?? FIRST_NUMBER;
  #texts = [];
  #refused = new Set();
  #began = 0;
  #stop = null;

  constructor(line, onTexted) {
    this.#line = line;
    this.onTexted = onTexted;
    byId("phone-peer").textContent = line.number;
    byId("number").value = this.#number;
    byId("number").addEventListener("change", () => this.#renumber());
    byId("number-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#renumber();
    });
    sendOnEnter(byId("text"));
    byId("text-form").addEventListener("submit", (event) => this.#send(event));
    this.#tick();
    setInterval(() => this.#tick(), 10_000);
  }

  /** Whose phone this is. */
  get number() {
    return this.#number;
  }

  /** Begins to follow this handset's texts, from its first one on. */
  start() {
    this.#stop?.();
    this.#texts = [];
    this.#began = Date.now();
    this.#draw();
    const path = `/simulator/handsets/${encodeURIComponent(this.#number)}/stream`;
    this.#stop = follow(path, "message", (text) => this.#take(text));
  }

  /** A text on this handset; the stream tells all of them again whenever it begins anew. */
  #take(text) {
    if (text.line !== this.#line.number || this.#texts.some((known) => known.id === text.id)) return;
    this.#texts.push(text);
    this.#texts.sort((a, b) => new Date(a.at) - new Date(b.at) || a.seq - b.seq);
    this.#draw();
    const isNews = new Date(text.at) > this.#began;
    if (text.direction === "received" && isNews) announce(`The handset got: ${text.body}`);
  }

  /** Offers texts worth trying; with a case number when there is one. */
  suggest(caseNumber) {
    const chips = ["My heater is broken", "Any news?", caseNumber && `${caseNumber} it works again`, "STOP", "START"];
    const items = chips.filter(Boolean).map((words) => ({ words }));
    reconcile(byId("chips"), items, ({ words }) => words, ({ words }) => {
      const chip = el("button", { type: "button" }, words);
      chip.addEventListener("click", () => {
        byId("text").value = words;
        byId("text").focus();
      });
      return chip;
    });
  }

  #tick() {
    byId("phone-clock").textContent = clock(new Date());
  }

  #complain(words) {
    byId("number-error").textContent = words;
    byId("number-error").hidden = !words;
  }

  #renumber() {
    const typed = byId("number").value.replace(/[\s().-]/g, "");
    if (typed === this.#number) return;
    if (!/^\+[1-9]\d{6,14}$/.test(typed)) {
      this.#complain("Write it with + and country code, like +12065550100.");
      return;
    }
    if (typed === this.#line.number) {
      this.#complain("That is the line's own number.");
      return;
    }
    this.#complain("");
    byId("number").value = typed;
    this.#number = typed;
    localStorage.setItem(REMEMBERED, typed);
    this.start();
  }

  async #send(event) {
    event.preventDefault();
    const field = byId("text");
    const button = byId("text-form").querySelector("button");
    const body = field.value;
    if (!body.trim() || button.disabled) return;
    button.disabled = true;
    try {
      const sent = await post("/simulator/texts", { from: this.#number, to: this.#line.number, body });
      field.value = "";
      if (!sent.taken) this.#refused.add(sent.sid);
      this.#complain(sent.taken ? "" : REFUSED);
      this.#draw();
      stickToEnd(byId("phone-log"), () => {}, true);
      this.onTexted();
    } catch (problem) {
      this.#complain(problem.message);
    } finally {
      button.disabled = false;
      field.focus();
    }
  }

  #draw() {
    const log = byId("phone-log");
    if (this.#texts.length === 0) {
      log.replaceChildren(el("p", { className: "hello" }, "Write a text below, or tap one of the suggestions. The line answers with a case number."));
      return;
    }
    log.querySelector(".hello")?.remove();
    const texts = this.#texts.map((text) => ({ ...text, refused: this.#refused.has(text.id) }));
    stickToEnd(log, () => reconcile(log, texts, (text) => text.id, drawText));
  }
}

function drawText(text) {
  const mine = text.direction === "sent";
  const kind = ["sms", mine && "mine", text.refused && "problem"].filter(Boolean).join(" ");
  return el("article", { className: kind },
    el("div", { className: "bubble", dir: "auto" }, ...visible(text.body || "(no words)")),
    el("div", { className: "under" },
      text.origin === "keyword" ? el("span", {}, "Twilio's own answer") : null,
      time(text.at, clock(text.at)),
      mine ? tick(text.refused ? "failed" : "sent") : null));
}
