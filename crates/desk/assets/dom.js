// Making and keeping elements. What people wrote goes in through text nodes only, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** The element of this id. */
export const byId = (id) => document.getElementById(id);

/** A new element; `props` are properties, those with a dash are attributes; children are nodes or strings. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** One of the icons at the top of index.html. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

// Control characters but tab and newline, marks that turn the reading direction, and spaces without width.
// The joiners U+200C and U+200D stay: emoji and several scripts need them.
const INVISIBLE =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** What a person wrote as nodes, with characters that could hide or turn it made visible by their code. */
export function visible(text) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(INVISIBLE)) {
    const code = `U+${found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    nodes.push(text.slice(from, found.index));
    nodes.push(el("span", { className: "control-mark", title: "A character that does not show by itself" }, code));
    from = found.index + found[0].length;
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}

/**
 * Brings `container`'s children in line with `items`, touching only those that changed, so that focus, an
 * opened explanation and the scroll position survive. `key(item)` names an item, `render(item)` makes its node.
 */
export function reconcile(container, items, key, render) {
  const present = new Map([...container.children].map((node) => [node.dataset.key, node]));
  let before = null;
  for (const item of items) {
    const name = String(key(item));
    const state = JSON.stringify(item);
    let node = present.get(name);
    present.delete(name);
    if (!node || node.state !== state) {
      const fresh = render(item, node);
      fresh.dataset.key = name;
      fresh.state = state;
      if (node) node.replaceWith(fresh);
      node = fresh;
    }
    const place = before ? before.nextSibling : container.firstChild;
    if (node !== place) container.insertBefore(node, place);
    before = node;
  }
  for (const node of present.values()) node.remove();
}

/** Runs `change`, and keeps a list that stood at its end at its end. */
export function stickToEnd(list, change, always = false) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  change();
  if (atEnd || always) list.scrollTop = list.scrollHeight;
}

/** Enter sends the form; Shift+Enter, and Enter while an input method composes, does not. */
export function sendOnEnter(field) {
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    field.form.requestSubmit();
  });
}

/** Says something to people who listen to the page. */
export function announce(words) {
  byId("announcer").textContent = words;
}

/** Tells of trouble above the panes; without words the notice goes away. */
export function notice(words) {
  const place = byId("notice");
  place.textContent = words ?? "";
  place.hidden = !words;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const SHORT_DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const sameDay = (a, b) => a.toDateString() === b.toDateString();

/** The time of day. */
export const clock = (when) => CLOCK.format(new Date(when));

/** The day, in words. */
export function day(when) {
  return sameDay(new Date(when), new Date()) ? "Today" : DAY.format(new Date(when));
}

/** The time today, the date before. */
export function shortTime(when) {
  const date = new Date(when);
  return sameDay(date, new Date()) ? CLOCK.format(date) : SHORT_DAY.format(date);
}

/** A `<time>` element that shows `words` and tells the whole instant on hover. */
export function time(when, words) {
  return el("time", { dateTime: when, title: new Date(when).toLocaleString() }, words);
}
