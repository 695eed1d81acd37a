// The demo page: a handset on one side, the desk on the other.

import { follow, get } from "./api.js";
import { Cases } from "./cases.js";
import { byId, notice, stickToEnd } from "./dom.js";
import { Handset } from "./handset.js";
import { Thread } from "./thread.js";

const LIVE = { connecting: "Connecting", live: "Live", lost: "Reconnecting" };
// Also without news: an opt-out, say, changes no case and so sends none.
const REFRESH_MS = 15_000;
const SOON_MS = 700;

let handset = null;
let followed = null;

const cases = new Cases((number) => open(number));
const thread = new Thread(() => refresh());
const refresh = gather(async () => {
  await Promise.all([cases.refresh(), thread.refresh()]);
  await followHandset();
  guide();
});

/** Runs `work` at once, and once more when it was asked for meanwhile: many hints, few reads. */
function gather(work) {
  let running = null;
  let again = false;
  return () => {
    again = running !== null;
    running ??= (async () => {
      do {
        again = false;
        await work().catch((problem) => problem.status === 401 || notice(problem.message));
      } while (again);
      running = null;
    })();
    return running;
  };
}

/** Shows the case the handset's texts go to when that becomes another one, unless somebody is replying. */
async function followHandset() {
  const newest = handset && (cases.newest(handset.number) ?? (thread.number ? null : cases.newest()));
  if (!newest || newest.number === followed || thread.isWriting) return;
  // At first sight of it a case that was chosen already stays.
  const stay = followed === null && thread.number;
  followed = newest.number;
  if (!stay) await open(newest.number, false);
}

/** Suggests what to text and what to try next. */
function guide() {
  if (!handset) return;
  handset.suggest(thread.number ?? cases.newest()?.number);
  byId("next-step").textContent = thread.nextStep;
}

async function open(number, chosen = true) {
  cases.choose(number);
  // First the pane, then what is in it: a hidden list cannot be scrolled to its end.
  if (chosen) view("thread");
  await thread.show(number);
  guide();
  if (!chosen) return;
  history.replaceState(null, "", `#${number}`);
  if (window.matchMedia("(max-width: 900px)").matches) byId("thread").focus();
}

function tab(name) {
  return document.querySelector(`.tabs [data-view="${name}"]`);
}

function view(name) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll(".tabs button")) {
    if (button.dataset.view === name) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  tab(name).querySelector(".badge").hidden = true;
  // A list that was hidden could not follow its end.
  for (const list of ["timeline", "phone-log"]) stickToEnd(byId(list), () => {}, true);
}

function badge(name) {
  if (document.body.dataset.view !== name) tab(name).querySelector(".badge").hidden = false;
}

function showLive(state) {
  byId("live").dataset.state = state;
  byId("live-text").textContent = LIVE[state];
  if (state === "live") {
    notice("");
    refresh();
  }
}

function onTrail(entry) {
  refresh();
  badge(entry.case === thread.number ? "thread" : "cases");
}

/** A STOP changes no case and so sends no news: look once more when it has been handled. */
function onTexted() {
  refresh();
  setTimeout(refresh, SOON_MS);
}

function about(line) {
  byId("line-number").textContent = line.number;
  byId("line-webhook").textContent = line.webhook_url;
  byId("api-curl").textContent = `curl -H "Authorization: Bearer $TOKEN" ${location.origin}/api/v1/cases`;
  byId("about-open").addEventListener("click", () => byId("about").showModal());
}

async function begin() {
  for (const button of document.querySelectorAll(".tabs button")) {
    button.addEventListener("click", () => view(button.dataset.view));
  }
  byId("back").addEventListener("click", () => view("cases"));
  const config = await get("/demo/config.json");
  about(config.line);
  if (config.handset) {
    document.body.classList.add("with-handset");
    byId("handset").hidden = false;
    byId("tour").hidden = false;
    tab("handset").hidden = false;
    handset = new Handset(config.line, onTexted);
    byId("thread-title").textContent = "What to try";
    byId("thread-hint").hidden = true;
    guide();
    handset.start();
  } else {
    byId("thread-hint").textContent = `Text ${config.line.number}, or choose a case. New ones appear within a second.`;
  }
  view(config.handset ? "handset" : "cases");
  const wanted = location.hash.slice(1);
  if (/^\d{8}$/.test(wanted)) await open(wanted).catch(() => history.replaceState(null, "", "#"));
  follow("/api/v1/events", "case", onTrail, showLive);
  setInterval(refresh, REFRESH_MS);
}

begin().catch((problem) => problem.status === 401 || notice(problem.message));
