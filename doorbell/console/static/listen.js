// Chimes and replies are heard in the page: links to the sound become buttons that play and stop it.
// Where a part of the page is refreshed there are buttons of a form, which stay as they are.

import { element } from "./page.js";
import { send } from "./forms.js";

const sound = new Audio();
let playing = null;

function wordsOf(button) {
  return button.querySelector("[data-words]");
}

function stopped() {
  if (!playing) return;
  wordsOf(playing).textContent = playing.dataset.listen;
  playing.setAttribute("aria-pressed", "false");
  playing = null;
}

function pressed(button) {
  const again = playing === button;
  sound.pause();
  stopped();
  if (again) return;
  playing = button;
  wordsOf(button).textContent = button.dataset.stop;
  button.setAttribute("aria-pressed", "true");
  sound.src = button.dataset.address ?? button.form.action;
  sound.play().catch(stopped);
}

sound.addEventListener("ended", stopped);

document.addEventListener("click", (event) => {
  const button = event.target.closest("form.listen button[data-listen]");
  if (!button) return;
  event.preventDefault();
  pressed(button);
});

for (const link of document.querySelectorAll("a[data-listen]")) {
  const button = element("button", {
    className: link.className,
    type: "button",
    "aria-pressed": "false",
    "data-address": link.href,
    "data-stop": link.dataset.stop,
    "data-listen": wordsOf(link).textContent,
  });
  button.append(...link.childNodes);
  link.replaceWith(button);
  button.addEventListener("click", () => pressed(button));
}

for (const button of document.querySelectorAll('button[formaction$="/chime/play"]')) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    const values = new URLSearchParams({ chime: button.value });
    const door = new FormData(button.form).get("door");
    if (door) values.set("door", door);
    send(button.formAction, values);
  });
}
