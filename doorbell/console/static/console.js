// Every page: forms without leaving it, parts that follow what happens, the keyboard.

import "./forms.js";
import "./refresh.js";
import { onEvent } from "./events.js";
import { prefix } from "./page.js";
import { undoLast } from "./toast.js";

// j and k go through what can be acted on, Enter opens it, u takes back what was done last.
function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select, textarea, [contenteditable]")) return;
  const stops = [...document.querySelectorAll("[data-move]:not([hidden]), a.list-row")];
  const at = stops.findIndex((stop) => stop.contains(document.activeElement));
  if (event.key === "j" || event.key === "k") {
    const next = stops[event.key === "j" ? Math.min(at + 1, stops.length - 1) : Math.max(at - 1, 0)];
    next?.focus();
  } else if (event.key === "Enter" && document.activeElement.matches("[data-move]")) {
    const card = document.activeElement;
    const first = card.querySelector("form button, form input:not([type=hidden])");
    (first ?? card.querySelector("a[href], button"))?.focus();
  } else if (event.key === "u") {
    if (!undoLast()) document.querySelector(".notice form")?.requestSubmit();
  } else {
    return;
  }
  event.preventDefault();
}

document.addEventListener("keydown", pressed);

// A picture that has gone leaves the place empty rather than broken.
document.addEventListener(
  "error",
  (event) => event.target instanceof HTMLImageElement && event.target.classList.add("missing"),
  true,
);

// A page that says what is not there comes back by itself.
const retry = document.querySelector("[data-retry]")?.dataset.retry;
if (retry === "running") {
  onEvent((event) => event.event === "running" && event.running && location.reload());
} else if (retry === "reachable") {
  setInterval(async () => {
    const answer = await fetch(`${prefix}/healthz`, { cache: "no-store" }).catch(() => null);
    if (answer) location.reload();
  }, 5000);
}

// The shell of the page for when the house does not answer; browsers allow it over HTTPS only.
if ("serviceWorker" in navigator && window.isSecureContext) {
  const policy = window.trustedTypes?.createPolicy("door", { createScriptURL: (address) => address });
  const address = `${prefix}/worker.js`;
  navigator.serviceWorker.register(policy ? policy.createScriptURL(address) : address).catch(() => {});
}
