// The list of cases.

import { get } from "./api.js";
import { byId, el, reconcile, shortTime, time, visible } from "./dom.js";

const PAGE = 50;

/** The list; `onChoose(number)` hears which case a person opens. */
export class Cases {
  #status = "";
  #items = [];
  #pages = 1;
  #seen = new Map();
  #chosen = null;

  constructor(onChoose) {
    this.onChoose = onChoose;
    for (const button of byId("filter").children) {
      button.addEventListener("click", () => this.#filter(button));
    }
    byId("more").addEventListener("click", () => {
      this.#pages += 1;
      this.refresh();
    });
  }

  /** The case on the list that changed last, of this address if one is given. */
  newest(address) {
    return this.#items.find((item) => !address || item.contact.address === address);
  }

  /** Marks a case as the one shown; its news counts as seen. */
  choose(number) {
    this.#chosen = number;
    this.#draw();
  }

  /** Reads the list again. */
  async refresh() {
    const items = [];
    let after;
    for (let page = 0; page < this.#pages; page += 1) {
      const answer = await get("/api/v1/cases", { status: this.#status, limit: PAGE, after });
      items.push(...answer.items);
      after = answer.next;
      if (!after) break;
    }
    if (this.#seen.size === 0) for (const item of items) this.#seen.set(item.number, item.updated_at);
    this.#items = items;
    byId("more").hidden = !after;
    this.#draw();
  }

  #filter(button) {
    for (const other of byId("filter").children) other.setAttribute("aria-pressed", String(other === button));
    this.#status = button.dataset.status;
    this.#pages = 1;
    this.refresh();
  }

  #draw() {
    const rows = this.#items.map((item) => {
      const chosen = item.number === this.#chosen;
      if (chosen) this.#seen.set(item.number, item.updated_at);
      return { item, chosen, unseen: !chosen && this.#seen.get(item.number) !== item.updated_at };
    });
    const focused = document.activeElement?.closest?.(".case-list li")?.dataset.key;
    reconcile(byId("case-list"), rows, ({ item }) => item.number, (row) => this.#row(row));
    if (focused) byId("case-list").querySelector(`[data-key="${focused}"] button`)?.focus();
    const empty = byId("cases-empty");
    empty.hidden = rows.length > 0;
    empty.textContent = this.#status ? `No ${this.#status} cases.` : "No cases yet. The first text opens one.";
  }

  #row({ item, chosen, unseen }) {
    const last = item.last_message;
    const words = last ? (last.direction === "outbound" ? "↩ " : "") + (last.body || "(no words)") : item.subject;
    const row = el(
      "button",
      { type: "button", className: unseen ? "case-row unseen" : "case-row", "aria-current": chosen ? "true" : null },
      el("span", { className: "line-1" },
        el("span", { className: "name", dir: "auto" }, ...visible(item.contact.name)),
        time(item.updated_at, shortTime(item.updated_at))),
      el("span", { className: "snippet", dir: "auto" }, ...visible(words)),
      el("span", { className: "line-3" },
        el("span", { className: "number mono" }, item.number),
        el("span", { className: "pill", "data-status": item.status }, item.status)),
    );
    row.addEventListener("click", () => this.onChoose(item.number));
    return el("li", {}, row);
  }
}
