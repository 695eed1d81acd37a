// The pretend phone: texts through the simulated Twilio, shown as its owner would see them.

import { follow, get, post } from "./api.js";
import { announce, byId, clock, el, reconcile, sendOnEnter, stickToEnd, time, visible } from "./dom.js";
import { isProblem, tick } from "./ticks.js";

const FIRST_NUMBER = "+12065550100";
const REMEMBERED = "casewire.handset";

/** The handset pane; `onTexted()` is called after a text left. */
export class Handset {
  #line;
  #number = localStorage.getItem(REMEMBERED) ?? FIRST_NUMBER;
  #texts = [];
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

  /** Begins to follow this handset's texts. */
  async start() {
    this.#stop?.();
    this.#texts = [];
    byId("phone-log").replaceChildren();
    this.#draw();
    this.#stop = follow(`${this.#path()}/stream`, "message", () => this.refresh(), (state) => state === "live" && this.refresh());
    await this.refresh();
  }

  /** Reads this handset's texts again. */
  async refresh() {
    const number = this.#number;
    const { messages } = await get(`${this.#path()}/messages`);
    if (number !== this.#number) return;
    const last = messages.at(-1);
    if (last && last.direction !== "sent" && last.sid !== this.#texts.at(-1)?.sid && this.#texts.length) {
      announce(`Handset got: ${last.body}`);
    }
    this.#texts = messages;
    this.#draw();
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

  #path() {
    return `/simulator/handsets/${encodeURIComponent(this.#number)}`;
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
      await post("/simulator/texts", { from: this.#number, to: this.#line.number, body });
      field.value = "";
      this.#complain("");
      await this.refresh();
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
    stickToEnd(log, () => reconcile(log, this.#texts, (text) => text.sid, drawText));
  }
}

function drawText(text) {
  const mine = text.direction === "sent";
  const kind = ["sms", mine && "mine", isProblem(text.status) && "problem"].filter(Boolean).join(" ");
  return el("article", { className: kind },
    el("div", { className: "bubble", dir: "auto" }, ...visible(text.body)),
    el("div", { className: "under" }, time(text.at, clock(text.at)), mine ? tick(text.status) : null));
}
