// A reply of one's own: recorded here or chosen as a file, listened to, named and kept.

import { filled, sendBytes, texts } from "./page.js";
import { refreshNow } from "./refresh.js";
import { RATE, Recording, mayRecord, reasonOf } from "./recording.js";
import { toast } from "./toast.js";

const card = document.getElementById("new-recording");
if (card) offer(card);

function offer(card) {
  const words = card.dataset;
  const record = document.getElementById("record");
  const label = record.querySelector("[data-words]");
  const said = document.getElementById("recording-said");
  const file = document.getElementById("recording-file");
  const keep = document.getElementById("keep-recording");
  const heard = document.getElementById("recording-heard");
  const name = document.getElementById("recording-name");
  const most = Number(words.mostSeconds);
  let state = "idle";
  let recording = null;
  let turn = 0;
  let content = null;
  card.hidden = false;
  if (!mayRecord()) {
    record.disabled = true;
    said.textContent = words.textInsecure;
  }

  function set(next) {
    state = next;
    record.setAttribute("aria-pressed", String(next === "recording"));
    label.textContent = { opening: words.textWait, recording: words.textEnd }[next] ?? words.textRecord;
  }

  function show(blob, called) {
    if (heard.src) URL.revokeObjectURL(heard.src);
    content = blob;
    keep.hidden = blob === null;
    if (blob === null) {
      heard.removeAttribute("src");
      return;
    }
    heard.src = URL.createObjectURL(blob);
    name.value = called;
    name.focus();
  }

  async function begin() {
    set("opening");
    said.textContent = "";
    show(null);
    const mine = ++turn;
    let opened;
    try {
      opened = await Recording.open((samples) => turn === mine && count(samples));
    } catch (error) {
      if (turn !== mine) return;
      set("idle");
      said.textContent = reasonOf(error, words);
      return;
    }
    if (turn === mine) recording = opened;
    else opened.close(); // nobody waits for it any more
  }

  function count(samples) {
    if (state === "opening") set("recording");
    if (state !== "recording") return;
    said.textContent = filled(words.textLeft, { seconds: Math.max(0, Math.ceil(most - samples / RATE)) });
    if (samples >= most * RATE) end();
  }

  async function end() {
    const ended = recording;
    recording = null;
    set("opening");
    said.textContent = "";
    const samples = await ended.end();
    set("idle");
    show(wav(samples.slice(0, 2 * RATE * most)), "");
  }

  record.addEventListener("click", () => {
    if (state === "idle") begin();
    else if (state === "recording") end();
  });
  // Nothing is recorded by a page that nobody sees.
  addEventListener("pagehide", () => {
    turn += 1;
    recording?.close();
    recording = null;
    set("idle");
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && state === "recording") end();
  });

  file.addEventListener("change", () => {
    const chosen = file.files[0];
    file.value = "";
    if (!chosen) return;
    said.textContent = chosen.size > Number(words.maxBytes) ? words.textLarge : "";
    if (!said.textContent) show(chosen, chosen.name.replace(/\.[^.]*$/, "").slice(0, name.maxLength));
  });

  keep.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!content || keep.getAttribute("aria-busy") === "true") return;
    keep.setAttribute("aria-busy", "true");
    const answer = await sendBytes(`${keep.action}?${new URLSearchParams({ name: name.value })}`, content);
    keep.removeAttribute("aria-busy");
    if (answer.summary) {
      show(null);
      said.textContent = "";
      toast(answer.summary);
      refreshNow();
    } else {
      said.textContent = answer.error || texts.failed;
    }
  });
}

// 16-bit samples of one channel as a WAV file.
function wav(samples) {
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((letter, n) => head.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + samples.byteLength, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, RATE, true);
  head.setUint32(28, 2 * RATE, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, samples.byteLength, true);
  return new Blob([head.buffer, samples], { type: "audio/wav" });
}
