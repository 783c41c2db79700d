// The microphone at the door, heard in the page for as long as it is looked at.

import { ofDoor, post, prefix, texts } from "./page.js";
import { readParts } from "./stream.js";

const RATE = 16000;
// What waits for its turn to be heard, lest a late piece leaves a hole; and what is too late.
const AHEAD_SECONDS = 0.15;
const LATE_SECONDS = 1;

export class Listening {
  // onEnd(words) is called when it ends by itself; words say why, or are empty.
  constructor(onEnd) {
    this.onEnd = onEnd;
    this.abort = null;
    this.isHushed = false;
  }

  get isOpen() {
    return this.abort !== null;
  }

  // To be called from a click: browsers play nothing before one.
  async start() {
    const abort = (this.abort = new AbortController());
    this.context = new AudioContext();
    this.gain = this.context.createGain();
    this.hush(this.isHushed);
    this.gain.connect(this.context.destination);
    this.next = 0;
    let words = texts.failed;
    try {
      const response = await post(`${prefix}/listen${ofDoor}`, null, { signal: abort.signal });
      if (response.ok) {
        await readParts(response, (told, bytes) => {
          if (told.event === "sound") this.play(bytes);
          else if (told.event === "failed") words = told.error;
          else if (told.event === "done") words = "";
        });
      } else {
        words = (await response.json().catch(() => ({}))).error || words;
      }
    } catch {
      // The console has gone, or nobody listens any more.
    }
    if (this.abort !== abort) return;
    this.stop();
    this.onEnd(words);
  }

  stop() {
    this.abort?.abort();
    this.abort = null;
    this.context?.close().catch(() => {});
    this.context = null;
  }

  // What is said into this device's own microphone does not go round by the door.
  hush(on) {
    this.isHushed = on;
    if (this.context) this.gain.gain.value = on ? 0 : 1;
  }

  play(bytes) {
    const now = this.context.currentTime;
    if (this.next > now + LATE_SECONDS) return;
    const samples = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
    const buffer = this.context.createBuffer(1, samples.length, RATE);
    buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.gain);
    if (this.next < now) this.next = now + AHEAD_SECONDS;
    source.start(this.next);
    this.next += buffer.duration;
  }
}
