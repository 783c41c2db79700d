// Runs on the audio thread: what the microphone hears, as 16-bit samples at 16 kHz, mono.
//
// Every rate of a sound card is brought down by a windowed sinc: what lies above 8 kHz would else be
// heard as something else below. Posts Int16Arrays; after the message "end" what is left, and null.

const RATE = 16000;
// Half the filter's length in samples of the slower rate, and how finely its curve is kept.
const HALF = 12;
const POINTS = 64;
// Passes 7.2 kHz of 8.
const CUTOFF = 0.9;
const CHUNK = 1600;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / RATE;
    this.width = HALF * Math.max(1, this.step);
    this.curve = curve(this.width, CUTOFF * Math.min(1, 1 / this.step));
    // As if it had been silent before.
    this.held = new Float32Array(Math.ceil(this.width));
    this.at = this.held.length;
    this.chunk = new Int16Array(CHUNK);
    this.filled = 0;
    this.ended = false;
    this.port.onmessage = () => {
      this.take(new Float32Array(Math.ceil(this.width)));
      this.post();
      this.port.postMessage(null);
      this.ended = true;
    };
  }

  process(inputs) {
    const samples = inputs[0][0];
    if (samples && !this.ended) this.take(samples);
    return !this.ended;
  }

  take(samples) {
    const joined = new Float32Array(this.held.length + samples.length);
    joined.set(this.held);
    joined.set(samples, this.held.length);
    for (; this.at + this.width < joined.length; this.at += this.step) {
      let sum = 0;
      const last = Math.floor(this.at + this.width);
      for (let place = Math.ceil(this.at - this.width); place <= last; place++) {
        sum += joined[place] * this.curve[Math.round(Math.abs(this.at - place) * POINTS)];
      }
      this.chunk[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sum * 32767)));
      if (this.filled === CHUNK) this.post();
    }
    const unused = Math.max(0, Math.ceil(this.at - this.width));
    this.held = joined.slice(unused);
    this.at -= unused;
  }

  post() {
    this.port.postMessage(this.chunk.slice(0, this.filled));
    this.filled = 0;
  }
}

// One side of a sinc that passes so much of the frequencies, under a Hann window.
function curve(width, passes) {
  const points = new Float32Array(Math.floor(width * POINTS) + 2);
  for (let at = 0; at < points.length; at++) {
    const away = at / POINTS;
    const angle = Math.PI * away * passes;
    const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
    points[at] = away >= width ? 0 : passes * sinc * (0.5 + 0.5 * Math.cos((Math.PI * away) / width));
  }
  return points;
}

registerProcessor("recorder", Recorder);
