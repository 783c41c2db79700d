// Hold to talk at the door, and listen there. Half duplex: who talks does not hear the door.

import { filled, ofDoor, prefix, sendBytes, texts } from "./page.js";
import { Listening } from "./listening.js";
import { RATE, Recording, mayRecord, reasonOf } from "./recording.js";

const LONGEST_SECONDS = 15;
const SHORTEST_SECONDS = 0.3;
// People let go with the last word still on its way through the sound card.
const TAIL_MS = 100;

function offer(view) {
  const said = view.querySelector(".talk-said");
  const hold = view.querySelector("[data-hold]");
  const ear = view.querySelector("[data-listen-door]");
  view.hidden = false;

  function tell(words) {
    said.textContent = words;
  }

  const listening = new Listening((words) => {
    ear.setAttribute("aria-pressed", "false");
    tell(words || view.dataset.textListened);
  });
  new Talk(view, hold, tell, listening);
  if (ear) {
    ear.addEventListener("click", () => {
      if (ear.dataset.off !== undefined) {
        tell(ear.dataset.off);
        return;
      }
      const listens = !listening.isOpen;
      ear.setAttribute("aria-pressed", String(listens));
      tell("");
      if (listens) listening.start();
      else listening.stop();
    });
  }
  const stop = () => {
    listening.stop();
    ear?.setAttribute("aria-pressed", "false");
  };
  addEventListener("pagehide", stop);
  document.addEventListener("visibilitychange", () => document.hidden && stop());
  if (!mayRecord()) tell(view.dataset.textInsecure);
}

// The button goes from idle to opening, speaking, sending, and back.
class Talk {
  constructor(view, button, tell, listening) {
    this.words = view.dataset;
    this.button = button;
    this.label = button.querySelector("[data-words]");
    this.tell = tell;
    this.listening = listening;
    this.turn = 0;
    this.recording = null;
    this.clock = 0;
    this.byClick = false;
    this.set("idle");
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      button.setPointerCapture(event.pointerId);
      this.press();
    });
    button.addEventListener("pointerup", () => this.release());
    button.addEventListener("pointercancel", () => this.cancel());
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    button.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) this.press();
    });
    button.addEventListener("keyup", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      this.release();
    });
    // Who works by voice or a switch clicks, and clicks again.
    button.addEventListener("click", (event) => {
      if (event.detail !== 0) return;
      if (this.state === "idle") {
        this.byClick = true;
        this.press();
      } else {
        this.release();
      }
    });
    button.addEventListener("blur", () => this.byClick || this.release());
    addEventListener("pagehide", () => this.cancel());
    document.addEventListener("visibilitychange", () => document.hidden && this.cancel());
  }

  set(state) {
    this.state = state;
    this.button.dataset.state = state;
    const words = { opening: this.words.textOpening, speaking: this.words.textSpeak, sending: this.words.textSending };
    this.label.textContent = words[state] ?? this.words.textHold;
    if (state === "idle") this.byClick = false;
    this.listening.hush(state === "opening" || state === "speaking");
  }

  async press() {
    if (this.state !== "idle") return;
    const turn = ++this.turn;
    this.set("opening");
    this.tell("");
    let recording;
    try {
      recording = await Recording.open((count) => this.turn === turn && this.heard(count / RATE));
    } catch (error) {
      if (turn !== this.turn) return;
      this.set("idle");
      this.tell(reasonOf(error, this.words));
      return;
    }
    if (turn !== this.turn) {
      recording.close(); // let go meanwhile, perhaps to answer the browser's question
      return;
    }
    this.recording = recording;
  }

  heard(seconds) {
    if (this.state === "opening") this.set("speaking");
    if (this.state !== "speaking") return;
    const left = Math.max(0, Math.ceil(LONGEST_SECONDS - seconds));
    const words = filled(this.byClick ? this.words.textLeftClick : this.words.textLeft, { seconds: left });
    this.tell(words);
    if (seconds >= LONGEST_SECONDS) this.release();
  }

  async release() {
    if (this.state === "opening") {
      this.cancel();
      this.tell(this.words.textShort);
    }
    if (this.state !== "speaking") return;
    this.set("sending");
    const { recording } = this;
    this.recording = null;
    await new Promise((resolve) => setTimeout(resolve, TAIL_MS));
    const samples = (await recording.end()).slice(0, 2 * RATE * LONGEST_SECONDS);
    if (samples.byteLength < 2 * RATE * (SHORTEST_SECONDS + TAIL_MS / 1000)) this.tell(this.words.textShort);
    else {
      const told = await sendBytes(`${prefix}/talk${ofDoor}`, samples);
      this.tell(told.summary || told.error || texts.failed);
    }
    this.set("idle");
  }

  // Throw away what was said.
  cancel() {
    if (this.state !== "opening" && this.state !== "speaking") return;
    this.turn += 1;
    this.recording?.close();
    this.recording = null;
    this.tell("");
    this.set("idle");
  }
}

const view = document.getElementById("talk");
if (view) offer(view);
