// The picture edge to edge: who is at the door in large letters, and the time of day.

import { open } from "./live.js";
import { onEvent } from "./events.js";
import { texts } from "./page.js";

const view = document.getElementById("live-view");
const live = open(view);
const who = document.getElementById("wall-who");
const clock = document.getElementById("wall-clock");
let skew = null;

// By the clock of the house: the tablet's own may stand in another zone.
function tellTime() {
  const { offset, now } = document.querySelector("[data-offset]").dataset;
  skew ??= Number(now) - Date.now();
  const moment = new Date(Date.now() + skew + Number(offset) * 60_000);
  clock.textContent = moment.toISOString().slice(11, 16);
}

function tellWho(faces) {
  const names = [...new Set(faces.filter((face) => face.kind === "person").map((face) => face.label))];
  const others = faces.some((face) => face.kind !== "person");
  const words = names.length ? names.join(", ") : others ? view.dataset.textUndecided : "";
  if (who.textContent !== words) who.textContent = words;
}

if (live) live.onFaces = tellWho;
tellTime();
setInterval(tellTime, 1000);

const full = document.getElementById("full-screen");
if (full && document.documentElement.requestFullscreen && window.top === window) {
  full.hidden = false;
  full.addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen().catch(() => {});
  });
}

// A tablet stays awake while the page is shown, where the browser allows it.
async function stayAwake() {
  if (!document.hidden) await navigator.wakeLock?.request("screen").catch(() => {});
}
stayAwake();
document.addEventListener("visibilitychange", stayAwake);
onEvent((event) => {
  if (event.event === "ring" && (!texts.door || event.door === texts.door)) {
    view.classList.add("ringing");
    setTimeout(() => view.classList.remove("ringing"), 3000);
  }
});
