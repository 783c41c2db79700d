// The code of a link stands behind its #, which no browser sends: it is filled in, and the address
// forgets it. Pairing still takes a tap.

import "./console.js";

function fill() {
  const code = document.querySelector("#code");
  const given = location.hash.slice(1);
  if (!code || !/^[0-9A-Za-z-]{8,9}$/.test(given)) return;
  code.value = given;
  document.querySelector("#pair button")?.focus();
  history.replaceState(null, "", location.pathname + location.search);
}

fill();
// A link that is followed while the page is open changes no more than that.
window.addEventListener("hashchange", fill);
