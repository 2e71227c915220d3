"use strict";
// Search from anywhere: Ctrl-K (or Cmd-K) opens it, the arrows go through what was found, Enter in the field opens the first.
(function () {
  const fieldIn = (place) => place.querySelector("#search-text");
  const resultsOf = (search) => [...search.querySelectorAll("[data-search-result]")];
  const open = () => {
    const shown = [...document.querySelectorAll("[data-search]")].find((one) => one.checkVisibility());
    if (shown) { fieldIn(shown).focus(); fieldIn(shown).select(); return; }
    // The side bar has one opener, the menu of a phone another; the one that is hidden works as well.
    document.querySelector("[data-search-open]")?.click();
  };
  const move = (search, step) => {
    const stops = [fieldIn(search), ...resultsOf(search)];
    const at = stops.indexOf(document.activeElement);
    stops[(at + step + stops.length) % stops.length].focus();
  };
  // What was found belongs to what stood in the field when it was asked for; a quick Enter sends the form instead.
  let answered = "";
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail?.target?.id === "search-results") { answered = event.detail.requestConfig.formData.get("q"); }
  });
  document.addEventListener("keydown", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
      return;
    }
    const search = target?.closest("[data-search]");
    if (!search) { return; }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      move(search, event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter" && target.id === "search-text" && target.value && target.value === answered) {
      const [first] = resultsOf(search);
      if (first) { event.preventDefault(); first.click(); }
    }
  });
}());
