// What happens at the door, while the page is looked at: one connection for all modules.
//
// A hidden page holds no connection; one that is shown again gets {"event": "connected"} first, and
// looks itself what has changed.

import { prefix } from "./page.js";

const listeners = new Set();
let source = null;
let first = true;

export function onEvent(listener) {
  listeners.add(listener);
  open();
}

function tell(event) {
  for (const listener of listeners) listener(event);
}

function open() {
  // Before a device is paired nothing is told to it.
  if (!("device" in document.body.dataset)) return;
  if (source || document.hidden || listeners.size === 0) return;
  source = new EventSource(`${prefix}/events`);
  source.onopen = () => {
    // The page has just been made: there is nothing to fetch anew.
    if (!first) tell({ event: "connected" });
    first = false;
  };
  source.onmessage = (message) => tell(JSON.parse(message.data));
  source.onerror = () => {
    tell({ event: "lost" });
    // The browser gives up where the answer was no stream (a proxy that says 502).
    if (source && source.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(open, 2000);
    }
  };
}

function close() {
  source?.close();
  source = null;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    close();
    tell({ event: "hidden" });
  } else {
    open();
  }
});
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => event.persisted && open());
