// Searching for a face: a picture is sent as it is chosen, and who was found comes as a page.

import { fetchPage, say, texts } from "./page.js";

const card = document.getElementById("search");
const field = card.querySelector("[data-picture]");
const chosen = document.getElementById("chosen");
const line = document.getElementById("search-says");

card.hidden = false;

function tell(words) {
  line.textContent = words;
  line.hidden = !words;
}

function show(file) {
  if (chosen.src) URL.revokeObjectURL(chosen.src);
  chosen.src = URL.createObjectURL(file);
  chosen.hidden = false;
}

async function search(file) {
  const found = document.getElementById("found");
  found.replaceChildren();
  if (file.size > Number(card.dataset.maxBytes)) {
    tell(card.dataset.large);
    return;
  }
  show(file);
  tell(card.dataset.looking);
  field.disabled = true;
  try {
    const { ok, page } = await fetchPage(card.dataset.action, { body: file });
    if (!ok) throw new Error(page.querySelector("main h1 + p")?.textContent);
    found.replaceWith(document.importNode(page.getElementById("found"), true));
    tell("");
    document.getElementById("found").focus();
    say(card.dataset.done);
  } catch (error) {
    tell(error.message || texts.failed);
  }
  field.disabled = false;
}

field.addEventListener("change", () => {
  const [file] = field.files;
  field.value = "";
  if (file) search(file);
});
