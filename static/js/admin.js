// Names the fields that Django's admin leaves without a name: those of rows in an inline table, whose only label is the
// column's head, the hints of the two-box selector, the two parts of a moment, the search that has help, and filters by an empty value.
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
    for (const part of document.querySelectorAll(".datetime input:not([type=hidden])")) {
      if (part.labels?.length || part.hasAttribute("aria-label")) { continue; }
      const row = part.closest(".form-row, .fieldBox, fieldset");
      const name = row?.querySelector("legend, label")?.textContent.trim().replace(/:$/, "") || part.name;
      part.setAttribute("aria-label", `${name} ${part.previousSibling?.textContent?.trim() || ""}`.trim());
    }
    const search = document.querySelector("#searchbar:not([aria-label])");
    const button = search?.form?.querySelector("input[type=submit]");
    if (search && button) { search.setAttribute("aria-label", button.value); }
    for (const link of document.querySelectorAll("#changelist-filter a")) {
      if (!link.textContent.trim()) { link.textContent = "–"; }
    }
  };
  window.addEventListener("load", nameRows);
  document.addEventListener("formset:added", nameRows);
}());
