// Whoever aims the camera is told whether a face is seen, and whether it is large enough.

import { filled, say } from "./page.js";
import { open } from "./live.js";

const face = document.getElementById("aim-face");
const size = document.getElementById("aim-size");
const least = size.querySelector(".words").textContent;
const live = open(document.getElementById("live-view"));

function tell(line, state, words) {
  const place = line.querySelector(".words");
  if (place.textContent === words) return;
  place.textContent = words;
  if (line.dataset.state !== state) say(words);
  line.dataset.state = state;
}

if (live) {
  live.onFaces = (faces) => {
    const largest = faces.reduce((one, other) => (one && one.pixels >= other.pixels ? one : other), null);
    if (!largest) {
      tell(face, "bad", face.dataset.none);
      tell(size, "waiting", least);
      return;
    }
    tell(face, "good", faces.length > 1 ? face.dataset.several : face.dataset.found);
    const pixels = Math.round(largest.pixels);
    if (largest.recognizable) tell(size, "good", filled(size.dataset.large, { pixels }));
    else tell(size, "bad", filled(size.dataset.small, { pixels }));
  };
}
