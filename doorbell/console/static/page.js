// What every module needs of the page: where it is, and how it says something.

const body = document.body;

export const prefix = body.dataset.prefix;
export const texts = body.dataset;
// In an address, which of several doors the page shows; nothing where there is one.
export const ofDoor = texts.door ? `?door=${encodeURIComponent(texts.door)}` : "";

// Ask the console to do something; what comes back is JSON, or a stream of parts.
export function post(address, body = null, { type = "", signal = null } = {}) {
  const headers = { Accept: "application/json", "X-Door": "1" };
  if (type) headers["Content-Type"] = type;
  return fetch(address, { method: "POST", body, headers, signal, credentials: "same-origin" });
}

// Send bytes as they are; the document of the answer, or an empty one where there is none.
export async function sendBytes(address, bytes) {
  try {
    const answer = await post(address, bytes, { type: "application/octet-stream" });
    return await answer.json();
  } catch {
    return {};
  }
}

// A page of ours, and whether it is what was asked for; bytes are sent as they are.
//
// XMLHttpRequest makes a document that runs no script; that needs no permission of Trusted Types.
export function fetchPage(address, { body = null, signal = null } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(body === null ? "GET" : "POST", address);
    if (body !== null) {
      request.setRequestHeader("Accept", "text/html");
      request.setRequestHeader("X-Door", "1");
    }
    request.responseType = "document";
    request.onload = () =>
      request.response ? resolve({ ok: request.status < 400, page: request.response }) : reject(new Error());
    request.onerror = () => reject(new Error());
    request.onabort = () => reject(new Error());
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

// Say something to who listens rather than looks.
export function say(words) {
  const line = document.getElementById("said");
  if (line) {
    line.textContent = "";
    requestAnimationFrame(() => (line.textContent = words));
  }
}

// "{name} is at the door", with the name put in as text.
export function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
}

// An element with a class, text and attributes; nothing is ever read as markup.
export function element(tag, { className = "", text = "", ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
