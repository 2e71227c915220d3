// Runs before the first paint, so that neither theme flashes: sets what the reader chose, or what the system says.
(function () {
  "use strict";
  var root = document.documentElement;
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  var chosen = function () {
    try { return localStorage.getItem("theme") || "auto"; } catch (refused) { return "auto"; }
  };
  var apply = function () {
    var choice = chosen();
    root.dataset.themeChoice = choice;
    root.dataset.bsTheme = choice === "auto" ? (system.matches ? "dark" : "light") : choice;
  };
  window.setTheme = function (choice) {
    // Without storage (a private window) the choice holds for this page.
    try { localStorage.setItem("theme", choice); apply(); } catch (refused) { root.dataset.themeChoice = root.dataset.bsTheme = choice; }
  };
  root.classList.add("js");
  apply();
  system.addEventListener("change", apply);
}());
