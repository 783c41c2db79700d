// Of several doors, where it rings that is not looked at: a line that leads there.

import { say } from "./page.js";
import { onEvent } from "./events.js";

const SHOWN_MS = 60_000;
const hiding = new Map();

onEvent((event) => {
  if (event.event !== "ring" || !event.door) return;
  const line = document.querySelector(`[data-rings="${CSS.escape(event.door)}"]`);
  if (!line) return;
  line.hidden = false;
  say(line.textContent.trim());
  clearTimeout(hiding.get(line));
  hiding.set(line, setTimeout(() => (line.hidden = true), SHOWN_MS));
});
