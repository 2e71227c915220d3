// A row's Save button shows itself once another zone is chosen than the one that is saved. Without JavaScript it is
// always there (unless a suggestion's Accept stands in its place).
(function () {
  "use strict";
  const parts = (form) => {
    const inRow = (name) => document.querySelector(`[form="${CSS.escape(form.id)}"][${name}]`);
    return { select: form.querySelector("select"), save: inRow("data-save"), accept: inRow("data-accept") };
  };
  const mark = (form) => {
    const { select, save, accept } = parts(form);
    if (!select || !save) { return; }
    const changed = select.value !== (select.dataset.saved || "");
    save.classList.toggle("d-none", !changed && Boolean(accept));
    save.classList.toggle("os-save--idle", !changed && !accept);
    save.classList.toggle("btn-primary", changed);
    accept?.classList.toggle("d-none", changed);
  };
  const markAll = () => document.querySelectorAll("form[data-mapping]").forEach(mark);
  document.addEventListener("change", (event) => {
    const form = event.target instanceof Element ? event.target.closest("form[data-mapping]") : null;
    if (form) { mark(form); }
  });
  document.addEventListener("htmx:afterSettle", markAll);
  if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", markAll); } else { markAll(); }
}());
