// Puts fragments into the page: by their id, without losing focus, open menus or the place, and
// with what changed highlighted for a second.
import { refreshTimes } from "./times.js";

const MOST_CHANGED = 60; // more at once is no change to look at but a new picture

// What is watched in an element: the name of each watched part → what it says, times left out.
function watched(element) {
  const parts = element.matches("[data-watch]") ? [element] : [];
  parts.push(...element.querySelectorAll("[data-watch]"));
  return new Map(parts.map((part) => [part.dataset.watch, said(part)]));
}

function said(part) {
  if (part.dataset.value !== undefined) return part.dataset.value;
  const copy = part.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) time.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
}

function highlight(element, before) {
  const parts = [...element.querySelectorAll("[data-watch]")];
  if (element.matches("[data-watch]")) parts.push(element);
  const changed = parts.filter((part) => before.get(part.dataset.watch) !== said(part));
  if (changed.length > MOST_CHANGED) return;
  for (const part of changed) {
    part.classList.remove("changed");
    void part.offsetWidth; // lets the animation begin anew
    part.classList.add("changed");
    setTimeout(() => part.classList.remove("changed"), 1000);
  }
}

// What the person did to the page is theirs: the server does not know of it.
const KEPT = new Set(["open", "aria-current", "aria-selected", "tabindex"]);
const callbacks = {
  beforeAttributeUpdated: (name, node) =>
    !(KEPT.has(name) && (node.matches("details, .cell, [role=option]"))),
};

// What is being typed is kept; any other element with the focus says what is new.
const typing = () => document.activeElement?.matches("input, textarea, select") ?? false;

function morph(old, fresh) {
  const before = watched(old);
  const kept = window.Idiomorph.morph(old, fresh, {
    morphStyle: "outerHTML",
    ignoreActiveValue: typing(),
    restoreFocus: true,
    callbacks,
  });
  const element = kept.find((node) => node.nodeType === Node.ELEMENT_NODE);
  window.htmx.process(element);
  refreshTimes(element);
  highlight(element, before);
  element.dispatchEvent(new CustomEvent("pilothouse:swapped", { bubbles: true }));
}

// An element that the page lacks goes where it says, in the order that it says.
function insert(fresh) {
  const place = document.querySelector(fresh.dataset.liveInto);
  if (!place) return;
  const order = Number(fresh.dataset.order);
  const next = [...place.children].find((other) => Number(other.dataset.order) > order);
  place.insertBefore(fresh, next ?? null);
  window.htmx.process(fresh);
  refreshTimes(fresh);
  highlight(fresh, new Map());
  fresh.dispatchEvent(new CustomEvent("pilothouse:swapped", { bubbles: true }));
}

// Rows, and groups of rows, come in a table: alone they are no HTML.
function topElements(content) {
  return [...content.children].flatMap((element) => {
    if (!("liveRows" in element.dataset)) return [element];
    return [...element.tBodies].flatMap((group) => (group.id ? [group] : [...group.rows]));
  });
}

// Swaps each top-level element in for the one with its id; returns those that the page lacks.
export function swapFragments(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const strangers = [];
  for (const fresh of topElements(template.content)) {
    const old = document.getElementById(fresh.id);
    if ("liveRemove" in fresh.dataset) old?.remove();
    else if (old) morph(old, fresh);
    else if (fresh.dataset.liveInto) insert(fresh);
    else strangers.push(fresh);
  }
  return strangers;
}

// What the page shows now may be more than what its socket asked for.
function takeTopics(topics) {
  if (!topics || topics === document.body.dataset.liveTopics) return;
  document.body.dataset.liveTopics = topics;
  document.dispatchEvent(new CustomEvent("pilothouse:topics"));
}

// Reads the page anew and swaps the part with this selector, or each of several; returns the number of
// the last change that the page knew of.
export async function refreshPart(selector) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.redirected) location.reload();
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  takeTopics(page.body.dataset.liveTopics);
  for (const old of document.querySelectorAll(selector)) {
    const fresh = page.getElementById(old.id);
    if (fresh) morph(old, fresh);
  }
  return Number(page.body.dataset.liveSince);
}
