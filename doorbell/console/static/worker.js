// Where the house cannot be reached, a page of ours says so. Nothing else is kept: no picture, no
// name, no page of anybody.

const CACHE = "shell-{VERSION}";
const PAGE = "{PAGE}";

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches.open(CACHE).then((cache) => cache.addAll([PAGE, "{STYLE}"])).then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches.keys()
      .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  if (event.request.mode === "navigate") {
    event.respondWith(fetch(event.request).catch(() => caches.match(PAGE)));
  } else if (event.request.url.endsWith("{STYLE}")) {
    event.respondWith(fetch(event.request).catch(() => caches.match("{STYLE}")));
  }
});
