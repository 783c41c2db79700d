// What was just done, for ten seconds and with a way back.

import { element, say, texts } from "./page.js";
import { send } from "./forms.js";

const SECONDS = 10;
let last = null;

export function toast(summary, undoKey) {
  const place = document.getElementById("toasts");
  const shown = element("div", { className: "toast" }, element("p", { text: summary }));
  const close = () => {
    shown.remove();
    if (last === shown) last = null;
  };
  if (undoKey) {
    const undo = element("button", { className: "button quiet", type: "button", text: texts.undo });
    undo.addEventListener("click", () => {
      close();
      send(`${texts.prefix}/undo`, new URLSearchParams({ key: undoKey }));
    });
    shown.append(undo);
    shown.undo = () => undo.click();
    last = shown;
  }
  let timer = setTimeout(close, SECONDS * 1000);
  // Whoever reaches for it gets the time for it.
  for (const hold of ["pointerenter", "focusin"]) shown.addEventListener(hold, () => clearTimeout(timer));
  for (const release of ["pointerleave", "focusout"]) {
    shown.addEventListener(release, () => {
      clearTimeout(timer);
      timer = setTimeout(close, SECONDS * 1000);
    });
  }
  while (place.children.length > 2) place.firstElementChild.remove();
  place.append(shown);
  say(summary);
}

// The way back of the toast that is shown, if there is one.
export function undoLast() {
  if (!last) return false;
  last.undo();
  return true;
}
