// What this device's microphone hears, from opening it until it is closed.

import { texts } from "./page.js";

export const RATE = 16000;
// A telephone call may have taken the sound away.
const END_MS = 500;

// Why there is no microphone: "insecure", "refused", "missing", "busy", or "" for what else may be.
class NoMicrophone extends Error {
  constructor(why) {
    super(why);
    this.why = why;
  }
}

// The same in the words that an element has for it as data-text-….
export function reasonOf(error, { textInsecure, textRefused, textMissing, textBusy }) {
  const why = error instanceof NoMicrophone ? error.why : "";
  return { insecure: textInsecure, refused: textRefused, missing: textMissing, busy: textBusy }[why] ?? texts.failed;
}

// Browsers open it over HTTPS, and on the machine itself, only.
export function mayRecord() {
  return window.isSecureContext && Boolean(navigator.mediaDevices && window.AudioWorkletNode);
}

export class Recording {
  // onSamples(count) is called as they come.
  static async open(onSamples) {
    if (!mayRecord()) throw new NoMicrophone("insecure");
    const stream = await opened();
    let context;
    try {
      context = new AudioContext();
      await context.audioWorklet.addModule(new URL("./recorder.js", import.meta.url));
      await context.resume();
      return new Recording(stream, context, onSamples);
    } catch (error) {
      stop(stream);
      context?.close();
      throw error;
    }
  }

  constructor(stream, context, onSamples) {
    this.stream = stream;
    this.context = context;
    this.chunks = [];
    this.count = 0;
    this.node = new AudioWorkletNode(context, "recorder", { channelCount: 1, channelCountMode: "explicit" });
    this.ended = new Promise((resolve) => {
      this.node.port.onmessage = ({ data }) => {
        if (data === null) {
          resolve();
          return;
        }
        this.chunks.push(data);
        this.count += data.length;
        onSamples(this.count);
      };
    });
    // Silent, but some browsers compute nothing that leads nowhere.
    this.node.connect(context.destination);
    context.createMediaStreamSource(stream).connect(this.node);
  }

  // All of it, as 16-bit little-endian bytes; the microphone is closed.
  async end() {
    this.node.port.postMessage("end");
    await Promise.race([this.ended, new Promise((resolve) => setTimeout(resolve, END_MS))]);
    this.close();
    const bytes = new DataView(new ArrayBuffer(2 * this.count));
    let at = 0;
    for (const chunk of this.chunks) for (const sample of chunk) bytes.setInt16(2 * at++, sample, true);
    return bytes.buffer;
  }

  close() {
    stop(this.stream);
    this.context.close().catch(() => {});
  }
}

async function opened() {
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    const why = { NotAllowedError: "refused", NotFoundError: "missing", NotReadableError: "busy" };
    throw new NoMicrophone(why[error.name] ?? "");
  }
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
