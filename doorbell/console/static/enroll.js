// Enrolling: each photo is sent as it is chosen, and what is to be said of it comes at once.

import { element, filled, post, prefix, say, texts } from "./page.js";

const form = document.getElementById("enroll");
const words = form.dataset;
const list = document.getElementById("photos");
const enrollNow = document.getElementById("enroll-now");
const SVG = "http://www.w3.org/2000/svg";
const STRENGTHS = { weak: 1, fair: 2, strong: 3 };

// Each: { row, photoId, face } with face null until one is chosen that is good.
const photos = new Set();
let count = 0;
let queue = Promise.resolve();
let atTheDoor = null;

form.hidden = false;

function show(id) {
  document.getElementById(id).hidden = false;
}

function fail(sentence) {
  const line = document.getElementById("enroll-error");
  line.textContent = sentence;
  line.hidden = !sentence;
}

function whom() {
  const values = new URLSearchParams();
  for (const key of ["name", "person"]) {
    const field = form.elements[key];
    if (field && field.value.trim()) values.set(key, field.value.trim());
  }
  return values;
}

function hasName() {
  if ([...whom().keys()].length) return true;
  const name = document.getElementById("name");
  name.setCustomValidity(words.nameless);
  name.reportValidity();
  name.setCustomValidity("");
  name.focus();
  return false;
}

async function ask(address, body) {
  const answer = await post(address, body);
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(document.error || texts.failed);
  return document;
}

function refresh() {
  enrollNow.disabled = ![...photos].some((photo) => photo.face !== null);
}

function verdict(photo, state, said, helps) {
  photo.row.dataset.state = state;
  photo.mark.textContent = { good: "✔", bad: "✘" }[state] || "…";
  photo.said.textContent = said;
  photo.helps.textContent = helps || "";
  say(`${photo.name}: ${said} ${helps || ""}`);
  refresh();
}

function begin(name) {
  count += 1;
  const title = filled(words.photo, { number: count });
  const photo = {
    name: title,
    photoId: null,
    face: null,
    picture: element("div", { className: "photo-picture" }),
    mark: element("span", { className: "mark-word", text: "…", "aria-hidden": "true" }),
    said: element("span"),
    helps: element("p", { className: "muted" }),
    choices: element("div", { className: "chips" }),
  };
  const remove = element("button", { type: "button", className: "button quiet", text: words.remove });
  remove.setAttribute("aria-label", `${words.remove}: ${title}`);
  photo.row = element(
    "li",
    { className: "photo" },
    photo.picture,
    element(
      "div",
      { className: "stack" },
      element("p", { className: "said" }, photo.mark, photo.said),
      element("bdi", { className: "small muted name", text: name }),
      photo.helps,
      photo.choices,
      element("div", { className: "row" }, remove),
    ),
  );
  remove.addEventListener("click", () => {
    photos.delete(photo);
    photo.row.remove();
    refresh();
    document.getElementById("photos-title").focus();
  });
  photos.add(photo);
  list.append(photo.row);
  show("photos-card");
  verdict(photo, "waiting", words.looking);
  return photo;
}

function choose(photo, told, face) {
  const chosen = told.faces[face];
  for (const button of photo.choices.children) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.face) === face));
  }
  for (const shape of photo.picture.querySelectorAll("rect")) {
    shape.dataset.chosen = String(Number(shape.dataset.face) === face);
  }
  photo.face = chosen.accepted ? chosen.face : null;
  verdict(photo, chosen.accepted ? "good" : "bad", chosen.said, chosen.helps);
}

function drawn(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Boxes over the picture for who taps, and buttons with words below it for everybody.
function offer(photo, told) {
  photo.row.classList.add("choosing");
  const { width, height } = told;
  const drawing = drawn("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  told.faces.forEach((face, place) => {
    const [left, top, right, bottom] = face.box;
    const box = drawn("rect", {
      class: "photo-face",
      x: left * width,
      y: top * height,
      width: (right - left) * width,
      height: (bottom - top) * height,
      rx: 0.05 * (right - left) * width,
    });
    box.dataset.face = place;
    box.addEventListener("click", () => choose(photo, told, place));
    const size = Math.max(width / 16, 12);
    const number = drawn("text", {
      class: "photo-number",
      x: left * width + size / 4,
      y: top * height + size,
      "font-size": size,
      "stroke-width": size / 8,
    });
    number.textContent = String(place + 1);
    drawing.append(box, number);
    const button = element("button", {
      type: "button",
      className: "chip",
      text: filled(words.face, { number: place + 1 }),
      "aria-pressed": "false",
    });
    button.dataset.face = place;
    button.addEventListener("click", () => choose(photo, told, place));
    photo.choices.append(button);
  });
  photo.picture.append(drawing);
}

async function examine(photo, file) {
  if (file.size > Number(words.maxBytes)) {
    verdict(photo, "bad", words.large);
    return;
  }
  let told;
  try {
    told = await ask(`${prefix}/enroll/photo?${whom()}`, file);
  } catch (error) {
    verdict(photo, "bad", error.message || texts.failed);
    return;
  }
  photo.photoId = told.photo_id;
  if (told.photo_id) {
    const address = `${prefix}/enroll/photo/${told.photo_id}`;
    photo.picture.append(element("img", { src: address, alt: photo.name }));
  }
  if (told.reason === "several") offer(photo, told);
  photo.face = told.accepted ? told.faces[0].face : null;
  verdict(photo, told.accepted ? "good" : "bad", told.said, told.helps);
}

function add(files) {
  for (const file of files) {
    if (photos.size >= Number(words.maxPhotos)) {
      fail(words.many);
      return;
    }
    const photo = begin(file.name);
    queue = queue.then(() => photos.has(photo) && examine(photo, file));
  }
}

function finished(told) {
  for (const id of ["door-card", "photos-card"]) document.getElementById(id).hidden = true;
  list.replaceChildren();
  photos.clear();
  document.getElementById("result-title").textContent = told.said;
  document.getElementById("result-meter").value = STRENGTHS[told.strength] || 1;
  document.getElementById("result-strength").textContent = told.strength_said;
  const helps = document.getElementById("result-helps");
  helps.hidden = !told.helps.length;
  helps.querySelector("ul").replaceChildren(...told.helps.map((hint) => element("li", { text: hint })));
  for (const id of ["result-person", "result-more"]) {
    const link = document.getElementById(id);
    link.href = link.dataset.base + told.person_id;
  }
  show("result-card");
  document.getElementById("result-card").focus();
  say(told.said);
}

async function enroll(event) {
  event.preventDefault();
  if (!hasName() || form.getAttribute("aria-busy") === "true") return;
  const chosen = [...photos].filter((photo) => photo.face !== null);
  if (!chosen.length) {
    fail(words.none);
    return;
  }
  fail("");
  const values = new URLSearchParams(new FormData(form));
  chosen.forEach((photo, place) => values.set(`photo-${place}`, `${photo.photoId}:${photo.face}`));
  form.setAttribute("aria-busy", "true");
  try {
    finished(await ask(form.action, values));
  } catch (error) {
    fail(error.message || texts.failed);
  }
  form.removeAttribute("aria-busy");
}

// ---- at the door ----

function posed(told) {
  document.getElementById("door-say").textContent = told.say;
  for (const row of document.querySelectorAll("#poses li")) {
    const seen = told.seen.includes(row.dataset.pose);
    row.dataset.state = seen ? "good" : "waiting";
    row.querySelector(".pose-seen").textContent = seen ? "✔" : "";
  }
}

async function followDoor(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const told = JSON.parse(line);
      if (told.event === "pose") posed(told);
      else if (told.event === "done") finished(told);
      else throw new Error(told.error);
    }
  }
}

async function startDoor() {
  if (!hasName() || atTheDoor) return;
  atTheDoor = new AbortController();
  show("door-card");
  document.getElementById("door-card").scrollIntoView({ block: "nearest" });
  try {
    const address = document.getElementById("at-the-door").dataset.action;
    const answer = await post(address, new URLSearchParams(new FormData(form)), { signal: atTheDoor.signal });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || texts.failed);
    await followDoor(answer.body);
  } catch (error) {
    if (error.name === "AbortError") document.getElementById("door-card").hidden = true;
    else document.getElementById("door-say").textContent = error.message || texts.failed;
  }
  atTheDoor = null;
}

for (const field of form.querySelectorAll("[data-photos]")) {
  field.addEventListener("change", () => {
    const files = [...field.files];
    field.value = "";
    if (hasName()) add(files);
  });
}
form.addEventListener("submit", enroll);
document.getElementById("at-the-door").addEventListener("click", startDoor);
document.getElementById("door-stop").addEventListener("click", () => {
  if (atTheDoor) atTheDoor.abort();
  else document.getElementById("door-card").hidden = true;
});
document.getElementById("photos-title").tabIndex = -1;

const consent = document.getElementById("consent");
const portrait = document.getElementById("portrait");
if (consent && "takesConsent" in portrait.dataset) {
  const follow = () => {
    portrait.disabled = !consent.checked;
    if (portrait.disabled) portrait.checked = false;
  };
  consent.addEventListener("change", follow);
  follow();
}
