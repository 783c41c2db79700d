// The first page: the live picture and its controls.

import { element, ofDoor, post, prefix } from "./page.js";
import { open } from "./live.js";

const view = document.getElementById("live-view");
const live = open(view);

function button(id, action) {
  const found = document.getElementById(id);
  if (!found) return;
  found.hidden = false;
  found.addEventListener("click", () => action(found));
}

if (live) {
  // Whoever opens this page has answered the bell by looking; a tablet that always shows the wall has not.
  live.onSeen = () => {
    post(`${prefix}/answered${ofDoor}`).catch(() => {});
  };
  button("toggle-boxes", (toggle) => {
    const shown = toggle.getAttribute("aria-pressed") !== "true";
    toggle.setAttribute("aria-pressed", String(shown));
    view.classList.toggle("without-boxes", !shown);
  });
  button("snapshot", async () => {
    const file = await live.snapshot();
    if (!file) return;
    const address = URL.createObjectURL(file);
    const moment = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
    element("a", { href: address, download: `door-${moment}.jpg` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  });
  button("full-screen", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (view.requestFullscreen) view.requestFullscreen().catch(() => {});
    else location.assign(`${prefix}/wall${ofDoor}`);
  });
}
