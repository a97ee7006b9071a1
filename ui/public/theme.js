// Runs before the first paint, so that no other theme flashes up.
(function () {
  var chosen = null;
  try {
    chosen = localStorage.getItem("modelyard.theme");
  } catch (error) {
    // Storage may be switched off; the system's theme holds then.
  }
  var dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
