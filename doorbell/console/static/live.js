// The picture of now on a canvas, with boxes and names over the frame that they belong to.
//
// It never looks live when it is not: the age of the picture is said once it is over a second, and a
// picture that has stopped is dimmed.

import { element, filled, say } from "./page.js";
import { readParts } from "./stream.js";

const OLD_MS = 1000;
const STOPPED_MS = 2000;
const RETRY_MS = 500;
// What a picture takes longer than the quickest one lately has waited on the way.
const QUICKEST_OF = 300;

class LiveView {
  // view: a figure of live.html.
  constructor(view) {
    this.view = view;
    this.canvas = view.querySelector("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.boxes = view.querySelector(".live-boxes");
    this.words = view.querySelector(".live-words");
    this.words.parentElement.hidden = false;
    this.names = new Set();
    this.ways = [];
    this.pending = null;
    this.drawing = false;
    this.shownAt = -Infinity;
    this.takenAt = 0;
    this.why = "";
    this.onFaces = () => {};
    this.onSeen = () => {};
    this.unseen = true;
    this.clock = 0;
    this.abort = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.start()));
    addEventListener("pagehide", () => this.stop());
    addEventListener("pageshow", (event) => event.persisted && this.start());
  }

  start() {
    if (this.abort || document.hidden) return;
    this.unseen = true;
    this.abort = new AbortController();
    this.clock = setInterval(() => this.tellState(), 250);
    this.run(this.abort);
  }

  stop() {
    this.abort?.abort();
    this.abort = null;
    clearInterval(this.clock);
    this.pending = null;
    this.why = "";
    this.shownAt = -Infinity;
    this.setState("waiting", this.view.dataset.textWaiting);
  }

  async run(abort) {
    while (!abort.signal.aborted) {
      try {
        const response = await fetch(this.view.dataset.address, {
          signal: abort.signal,
          cache: "no-store",
          credentials: "same-origin",
        });
        if (!response.ok) throw new Error(String(response.status));
        this.ways = [];
        await readParts(response, (document, jpeg) => this.take(document, jpeg));
      } catch {
        if (abort.signal.aborted) return;
      }
      this.why = "lost";
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  take(document, jpeg) {
    if (jpeg.length === 0) {
      this.why = document.why;
      this.tellState();
      return;
    }
    this.why = "";
    const arrived = performance.now();
    const way = arrived - document.sent_at;
    this.ways.push(way);
    if (this.ways.length > QUICKEST_OF) this.ways.shift();
    const late = way - Math.min(...this.ways);
    // Of what waits to be drawn only the newest is.
    this.pending = { document, jpeg, takenAt: arrived - late - document.age_ms };
    if (!this.drawing) this.draw();
  }

  async draw() {
    this.drawing = true;
    while (this.pending) {
      const { document, jpeg, takenAt } = this.pending;
      this.pending = null;
      let bitmap;
      try {
        bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
      } catch {
        continue;
      }
      if (this.abort) this.show(document, bitmap, takenAt);
      bitmap.close();
    }
    this.drawing = false;
  }

  show(document, bitmap, takenAt) {
    if (this.canvas.width !== document.w || this.canvas.height !== document.h) {
      this.canvas.width = document.w;
      this.canvas.height = document.h;
      this.view.style.setProperty("--w", document.w);
      this.view.style.setProperty("--h", document.h);
    }
    this.context.drawImage(bitmap, 0, 0);
    this.drawFaces(document.faces);
    this.takenAt = takenAt;
    this.shownAt = performance.now();
    const age = Math.max(0, Math.round(this.shownAt - takenAt));
    Object.assign(this.canvas.dataset, { seq: document.seq, age, capturedAt: document.captured_at });
    this.tellState();
  }

  drawFaces(faces) {
    const aiming = this.view.dataset.aiming === "true";
    faces.forEach((face, index) => {
      let box = this.boxes.children[index];
      if (!box) {
        box = element("div", { className: "box" }, element("bdi", { className: "box-name" }));
        this.boxes.append(box);
      }
      const [left, top, right, bottom] = face.box;
      box.style.left = `${left * 100}%`;
      box.style.top = `${top * 100}%`;
      box.style.width = `${(right - left) * 100}%`;
      box.style.height = `${(bottom - top) * 100}%`;
      // The name stays in the picture.
      box.dataset.side = left > 0.6 ? "right" : "left";
      box.dataset.under = String(top < 0.12);
      box.dataset.kind = face.kind;
      box.dataset.visit = face.visit_id ?? "";
      box.dataset.recognizable = String(Boolean(face.recognizable));
      const words = aiming ? this.sizeOf(face) : this.nameOf(face);
      if (box.firstElementChild.textContent !== words) box.firstElementChild.textContent = words;
    });
    while (this.boxes.children.length > faces.length) this.boxes.lastElementChild.remove();
    this.sayWho(faces);
    this.onFaces(faces);
  }

  nameOf(face) {
    if (face.kind === "person") return face.label;
    return face.kind === "stranger" ? this.view.dataset.textStranger : this.view.dataset.textUndecided;
  }

  sizeOf(face) {
    const { textBigEnough, textTooSmall } = this.view.dataset;
    return `${face.pixels} px · ${face.recognizable ? textBigEnough : textTooSmall}`;
  }

  sayWho(faces) {
    const names = new Set(faces.filter((face) => face.kind === "person").map((face) => face.label));
    for (const name of names) {
      if (!this.names.has(name)) say(filled(this.view.dataset.textAtTheDoor, { name }));
    }
    if (names.size || faces.length === 0) this.names = names;
  }

  tellState() {
    const { dataset } = this.view;
    const now = performance.now();
    const since = now - this.shownAt;
    if (this.shownAt === -Infinity) {
      if (this.why === "stopped") this.setState("stopped", dataset.textStopped);
      else if (this.why === "no_picture") this.setState("stopped", dataset.textNoPicture);
      else if (this.why === "lost") this.setState("lost", dataset.textLost);
      else this.setState("waiting", dataset.textWaiting);
      return;
    }
    const age = now - this.takenAt;
    this.canvas.dataset.age = String(Math.max(0, Math.round(age)));
    if (age <= OLD_MS && since <= OLD_MS) {
      this.setState("live", dataset.textLive);
      // Once each time that somebody opens the page or comes back to it, not after a lost connection.
      if (this.unseen) {
        this.unseen = false;
        this.onSeen();
      }
      return;
    }
    const old = filled(dataset.textOld, { seconds: Math.max(1, Math.floor(age / 1000)) });
    const reason = {
      stopped: dataset.textStopped,
      no_picture: dataset.textNoPicture,
      lost: dataset.textLost,
    }[this.why];
    if (since > STOPPED_MS || this.why) {
      this.boxes.replaceChildren();
      this.setState(this.why === "lost" ? "lost" : "stopped", reason ? `${reason} · ${old}` : old);
    } else {
      this.setState("old", old);
    }
  }

  setState(state, words) {
    if (this.view.dataset.state !== state) {
      this.view.dataset.state = state;
      if (state === "stopped" || state === "lost") say(words);
    }
    if (this.words.textContent !== words) this.words.textContent = words;
  }

  // A file of what is shown, without boxes.
  snapshot() {
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/jpeg", 0.92));
  }
}

// A browser that cannot read the stream gets the plain one, as does one without scripts.
export function open(view) {
  if (!("createImageBitmap" in window) || !window.ReadableStream) {
    const canvas = view.querySelector("canvas");
    const alt = canvas.getAttribute("aria-label");
    canvas.replaceWith(element("img", { className: "live-still", src: view.dataset.fallback, alt }));
    return null;
  }
  const live = new LiveView(view);
  live.start();
  return live;
}
