// Parts of a page that follow what happens: data-refresh names the events, the id is the part's.
//
// The page itself is fetched anew and its parts are put in the place of the old ones, as nodes: the
// server stays the only one that makes markup. What somebody is typing in is left alone.

import { onEvent } from "./events.js";

// Several events of one change make one request.
const TOGETHER_MS = 60;
let timer = 0;
let running = null;
let again = false;

function parts() {
  return [...document.querySelectorAll("[data-refresh][id]")];
}

// XMLHttpRequest makes a document that runs no script; that needs no permission of Trusted Types.
function fetched(address, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.onload = () =>
      request.status < 400 && request.response ? resolve(request.response) : reject(request.status);
    request.onerror = () => reject(0);
    request.onabort = () => reject(0);
    signal.addEventListener("abort", () => request.abort());
    request.send();
  });
}

function key(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") || node.id || "" : "";
}

function inUse(node) {
  const focused = document.activeElement;
  return node.contains(focused) && focused.matches("input:not([type=hidden]), select, textarea") && (focused.value || "") !== "";
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
    if (same && !same.hidden && (same.isEqualNode(node) || inUse(same))) return same;
    return document.importNode(node, true);
  });
  if (nodes.length === old.childNodes.length && nodes.every((node, index) => node.isEqualNode(old.childNodes[index]) && !old.childNodes[index].hidden)) return;
  const focusedKey = key(document.activeElement?.closest("[data-key]") ?? old);
  const hadFocus = old.contains(document.activeElement);
  const wanted = new Set(nodes);
  for (const child of [...old.childNodes]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (old.childNodes[index] !== node) old.insertBefore(node, old.childNodes[index] ?? null);
  });
  if (hadFocus && !old.contains(document.activeElement)) {
    const again = [...old.children].find((child) => key(child) === focusedKey);
    (again && again.tabIndex >= -1 ? again : document.getElementById("content")).focus({ preventScroll: true });
  }
}

async function refresh() {
  if (running) {
    again = true;
    return;
  }
  running = new AbortController();
  try {
    const fresh = await fetched(location.href, running.signal);
    for (const part of parts()) {
      const other = fresh.getElementById(part.id);
      if (other && mayBeReplaced(part)) replaceChildren(part, other);
    }
    document.dispatchEvent(new CustomEvent("refreshed"));
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

function follow(event) {
  if (event.event === "hidden") {
    running?.abort();
    return;
  }
  if (event.event === "running") document.body.dataset.running = String(event.running);
  if (event.event === "running" && !event.running) return;
  const names = [event.event, event.what];
  if (event.event === "connected" || (event.event === "running" && event.running)) names.push("*");
  if (parts().some((part) => names.includes("*") || part.dataset.refresh.split(" ").some((name) => names.includes(name)))) {
    refreshNow();
  }
}

// A page without such parts, as for pairing, has nothing to follow and may not ask.
if (parts().length) onEvent(follow);
