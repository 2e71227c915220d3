"use strict";
// A table that is wider than its place scrolls sideways: then, and only then, the keyboard must get there, and a screen reader
// be told what it is.
(function () {
  const mark = (wrap) => {
    if (wrap.scrollWidth <= wrap.clientWidth) {
      for (const name of ["tabindex", "role", "aria-label"]) { wrap.removeAttribute(name); }
      return;
    }
    wrap.tabIndex = 0;
    wrap.setAttribute("role", "group");
    const caption = wrap.querySelector("caption")?.textContent.trim();
    if (caption) { wrap.setAttribute("aria-label", caption); }
  };
  const seen = new ResizeObserver((entries) => entries.forEach(({ target }) => mark(target.closest(".os-table-wrap"))));
  const watch = () => {
    for (const wrap of document.querySelectorAll(".os-table-wrap:not([tabindex])")) {
      seen.observe(wrap);
      if (wrap.firstElementChild) { seen.observe(wrap.firstElementChild); }
    }
  };
  document.addEventListener("htmx:afterSettle", watch);
  if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", watch); } else { watch(); }
}());
