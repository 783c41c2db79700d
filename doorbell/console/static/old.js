// A browser without modules, such as that of an old tablet, gets the plain stream.

var view = document.getElementById("live-view");
var still = document.createElement("img");
still.className = "live-still";
still.alt = view.querySelector("canvas").getAttribute("aria-label");
still.src = view.getAttribute("data-fallback");
view.querySelector("canvas").parentNode.appendChild(still);
