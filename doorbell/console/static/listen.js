// Chimes are heard in the page: links to the sound become buttons that play and stop it.

import { element } from "./page.js";

const sound = new Audio();
let playing = null;

function stopped() {
  if (!playing) return;
  playing.lastElementChild.textContent = playing.dataset.listen;
  playing.setAttribute("aria-pressed", "false");
  playing = null;
}

function pressed(button) {
  const again = playing === button;
  sound.pause();
  stopped();
  if (again) return;
  playing = button;
  button.lastElementChild.textContent = button.dataset.stop;
  button.setAttribute("aria-pressed", "true");
  sound.src = button.dataset.address;
  sound.play().catch(stopped);
}

sound.addEventListener("ended", stopped);

for (const link of document.querySelectorAll("a[data-listen]")) {
  const button = element("button", {
    className: link.className,
    type: "button",
    "aria-pressed": "false",
    "aria-label": link.getAttribute("aria-label"),
    "data-address": link.href,
    "data-stop": link.dataset.stop,
    "data-listen": link.lastElementChild.textContent,
  });
  button.append(...link.childNodes);
  link.replaceWith(button);
  button.addEventListener("click", () => pressed(button));
}
