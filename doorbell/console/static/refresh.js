// Parts of a page that follow what happens: data-refresh names the events, the id is the part's.
//
// The page itself is fetched anew and its parts are put in the place of the old ones, as nodes: the
// server stays the only one that makes markup. What somebody is typing in is left alone.

import { onEvent } from "./events.js";
import { fetchPage } from "./page.js";

// Several events of one change make one request.
const TOGETHER_MS = 60;
let timer = 0;
let running = null;
let again = false;

function parts() {
  return [...document.querySelectorAll("[data-refresh][id]")];
}

function key(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") || node.id || "" : "";
}

// Whether somebody has typed something there that would be lost.
function inUse(node) {
  const focused = document.activeElement;
  const typed = "input:not([type=hidden]), select, textarea";
  return node.contains(focused) && focused.matches(typed) && (focused.value || "") !== "";
}

// Whether somebody has opened something there, and is about to do something with it.
function isOpen(node) {
  return node.querySelector("details[open]") !== null;
}

// A part that somebody types in, unless that is in a child of it that stays by its key.
function mayBeReplaced(part) {
  return !inUse(part) || [...part.children].some((child) => key(child) && inUse(child));
}

// Make the children of one node like those of another; equal ones stay as they are.
function replaceChildren(old, fresh) {
  const kept = new Map();
  for (const child of old.children) if (key(child)) kept.set(key(child), child);
  const nodes = [...fresh.childNodes].map((node) => {
    const same = kept.get(key(node));
    if (same && !same.hidden && (same.isEqualNode(node) || inUse(same) || isOpen(same))) return same;
    return document.importNode(node, true);
  });
  if (nodes.length === old.childNodes.length) {
    const shown = [...old.childNodes];
    if (nodes.every((node, at) => !shown[at].hidden && node.isEqualNode(shown[at]))) return;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const focusedKey = key(focused?.closest("[data-key]") ?? old);
  const wanted = new Set(nodes);
  for (const child of [...old.childNodes]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, at) => {
    if (old.childNodes[at] !== node) old.insertBefore(node, old.childNodes[at] ?? null);
  });
  if (focused && !old.contains(document.activeElement)) {
    focusNear([...old.children].find((child) => key(child) === focusedKey) ?? old);
  }
}

// Whoever works by keyboard goes on where they were.
function focusNear(node) {
  const near = node.matches("[tabindex]") ? node : node.querySelector("a[href], button");
  (near ?? document.getElementById("content")).focus({ preventScroll: true });
}

async function refresh() {
  if (running) {
    again = true;
    return;
  }
  running = new AbortController();
  try {
    const { ok, page } = await fetchPage(location.href, { signal: running.signal });
    for (const part of ok ? parts() : []) {
      const other = page.getElementById(part.id);
      if (other && mayBeReplaced(part)) replaceChildren(part, other);
    }
    if (ok) document.dispatchEvent(new CustomEvent("refreshed"));
  } catch {
    // The events say when it can be asked again.
  }
  running = null;
  if (again) {
    again = false;
    refreshNow();
  }
}

export function refreshNow() {
  clearTimeout(timer);
  timer = setTimeout(refresh, TOGETHER_MS);
}

function concerned(part, names) {
  return part.dataset.refresh.split(" ").some((name) => names.includes(name));
}

function follow(event) {
  if (event.event === "hidden") running?.abort();
  if (event.event === "running") document.body.dataset.running = String(event.running);
  // What happened before the connection stood is made good by looking once.
  const all = event.event === "connected" || (event.event === "running" && event.running);
  const names = event.event === "running" ? [] : [event.event, event.what];
  if (all || parts().some((part) => concerned(part, names))) refreshNow();
}

// A page without such parts, as for pairing, has nothing to follow and may not ask.
if (parts().length) onEvent(follow);
