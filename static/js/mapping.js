// A row's Save button shows itself once another zone is chosen than the one that is saved; where a zone is suggested,
// Accept stands in its place until then. Without JavaScript both are always there. Save comes first in the row, since
// Enter presses the first: what was chosen is saved, and nothing is accepted by the way.
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
    save.classList.toggle("os-save--spare", !changed && Boolean(accept));
    save.classList.toggle("os-save--idle", !changed && !accept);
    save.classList.toggle("btn-primary", changed);
    accept?.classList.toggle("d-none", changed);
  };
  // The side bar's count of locations without a zone, which a saved row has changed.
  const countUnmapped = () => {
    const tally = document.getElementById("tally");
    const count = document.querySelector(".os-nav__link[aria-current] .os-count");
    if (!tally || !count) { return; }
    if (tally.dataset.unmapped === "0") { count.remove(); } else { count.firstChild.nodeValue = tally.dataset.unmapped; }
  };
  const markAll = () => { document.querySelectorAll("form[data-mapping]").forEach(mark); countUnmapped(); };
  document.addEventListener("change", (event) => {
    const form = event.target instanceof Element ? event.target.closest("form[data-mapping]") : null;
    if (form) { mark(form); }
  });
  document.addEventListener("htmx:afterSettle", markAll);
  // A saved row takes the place of the one in which the keyboard was: it goes on where it was.
  let saving = "";
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (!detail.elt.matches?.("form[data-mapping]")) { return; }
    const row = detail.elt.closest("tr");
    saving = row?.contains(document.activeElement) ? row.id : "";
  });
  document.addEventListener("htmx:afterSettle", () => {
    const row = saving && document.getElementById(saving);
    if (!row) { return; }
    saving = "";
    // Whoever has gone on meanwhile is left where they are.
    if (document.activeElement && document.activeElement !== document.body) { return; }
    const select = row.querySelector("select");
    if (select?.tomselect) { select.tomselect.focusClosed(); } else { select?.focus(); }
  });
  if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", markAll); } else { markAll(); }
}());
