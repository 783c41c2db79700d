// Forms with data-fetch are sent without leaving the page; without scripts they are plain forms.

import { post, texts } from "./page.js";
import { toast } from "./toast.js";
import { refreshNow } from "./refresh.js";

// Send a change; what came of it is said, and the page shows it.
export async function send(address, values) {
  let answer;
  try {
    answer = await post(address, values);
  } catch {
    toast(texts.failed);
    return false;
  }
  const document = await answer.json().catch(() => ({}));
  toast(document.summary || document.error || texts.failed, answer.ok ? document.undo : null);
  refreshNow();
  return answer.ok;
}

async function submitted(event) {
  const form = event.target;
  if (!form.matches("form[data-fetch]") || event.defaultPrevented) return;
  event.preventDefault();
  if (form.getAttribute("aria-busy") === "true") return;
  const values = new URLSearchParams(new FormData(form));
  const button = event.submitter;
  if (button && button.name) values.set(button.name, button.value);
  const card = form.hasAttribute("data-takes-card") ? form.closest("[data-key]") : null;
  form.setAttribute("aria-busy", "true");
  if (card) leave(card);
  const worked = await send(form.action, values);
  form.removeAttribute("aria-busy");
  if (card && !worked) card.hidden = false;
}

// The card goes at once; focus stays near, for who works by keyboard.
function leave(card) {
  const next = card.nextElementSibling || card.previousElementSibling;
  const focused = card.contains(document.activeElement);
  card.hidden = true;
  if (focused) (next?.matches("[data-move]") ? next : document.getElementById("content")).focus();
}

document.addEventListener("submit", submitted);

// A choice that needs no button: <select data-submit>, <input type="checkbox" data-submit>.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});
