// Names the fields that Django's admin leaves without a name: those of rows in an inline table, whose only label is the
// column's head, and the hints of the two-box selector.
(function () {
  "use strict";
  const nameRows = () => {
    for (const cell of document.querySelectorAll(".tabular td")) {
      const heads = cell.closest("table").tHead?.rows[0]?.cells || [];
      const name = heads[cell.cellIndex]?.textContent.trim();
      for (const control of cell.querySelectorAll("input:not([type=hidden]), select, textarea")) {
        if (name && !control.labels?.length && !control.hasAttribute("aria-label")) { control.setAttribute("aria-label", name); }
      }
    }
    for (const hint of document.querySelectorAll(".help-tooltip[aria-label]:not([role])")) { hint.setAttribute("role", "img"); }
  };
  window.addEventListener("load", nameRows);
  document.addEventListener("formset:added", nameRows);
}());
