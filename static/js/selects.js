// Turns each <select data-search> into a dropdown that searches as you type. Without JavaScript the select stays.
//
// data-url="…"         asks the server (?q=…) for lists too long to ship: answers {"results": [{value, text, note?, disabled?}]}
// data-placeholder="…" what the empty field says        data-none="…"  what an empty result says
// option data-note="…" a short remark at the option's end, for example “needs space no.”
// An empty option that has a text (“no zone”, “All locations”) can be chosen like any other, unless a choice is required.
(function () {
  "use strict";
  const MAX_OPTIONS = 200;

  const line = (data, escape) => {
    const note = data.note ? `<span class="os-option__note">${escape(data.note)}</span>` : "";
    return `<div class="os-option"><span>${escape(data.text)}</span>${note}</div>`;
  };

  // Puts an open list under its field, in the page's own coordinates, and into view.
  const place = (box) => {
    const field = box.control.getBoundingClientRect();
    Object.assign(box.dropdown.style, {
      insetInline: `${field.left + window.scrollX}px auto`,
      insetBlockStart: `${field.bottom + window.scrollY}px`,
      inlineSize: `${field.width}px`,
    });
    box.dropdown.scrollIntoView({ block: "nearest" });
  };

  const enhance = (select) => {
    if (select.tomselect || !window.TomSelect) { return; }
    const url = select.dataset.url;
    const label = select.labels?.[0]?.textContent?.trim() || select.getAttribute("aria-label") || "";
    const described = select.getAttribute("aria-describedby");
    const invalid = select.getAttribute("aria-invalid");
    const isRequired = select.required || select.getAttribute("aria-required") === "true";
    const none = select.multiple || isRequired ? null : [...select.options].find((option) => option.value === "" && option.text.trim());
    const settings = {
      allowEmptyOption: Boolean(none),
      closeAfterSelect: !select.multiple,
      copyClassesToDropdown: false,
      // A table that scrolls sideways would cut the list off, and a dialog hides what is outside of it.
      dropdownParent: select.closest("dialog") ? null : document.getElementById("main"),
      hidePlaceholder: false,
      maxOptions: MAX_OPTIONS,
      openOnFocus: true,
      placeholder: select.dataset.placeholder || document.body.dataset.saySearch || " ",
      plugins: select.multiple ? ["remove_button"] : [],
      searchField: ["text", "note"],
      // Choosing nothing is offered, and never found: Enter pressed right after typing must not take it.
      score(query) {
        const found = this.getScoreFunction(query);
        return (option) => (option.value === "" ? 0 : found(option));
      },
      selectOnTab: false,
      // At once: Enter pressed right after typing must choose what was typed, never what stood first before.
      refreshThrottle: 0,
      wrapperClass: "ts-wrapper",
      render: {
        option: line,
        item: (data, escape) => `<div>${escape(data.text)}</div>`,
        no_results: (data, escape) => `<div class="no-results">${escape(select.dataset.none || document.body.dataset.sayNone || "")}</div>`,
        loading: () => "<div class=\"spinner\"></div>",
      },
    };
    if (url) {
      settings.preload = "focus";
      settings.shouldLoad = () => true;
      // The server searched; what it found is not filtered again.
      settings.score = () => (option) => (option.value === "" ? 0 : 1);
      settings.loadThrottle = 200;
      settings.load = function (query, done) {
        const address = new URL(url, window.location.href);
        address.searchParams.set("q", query);
        fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" })
          .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
          .then((body) => { this.clearOptions((option) => option.value === "" || this.items.includes(String(option.value))); done(body.results); })
          .catch(() => { done(); window.showToast?.(document.body.dataset.sayNotLoaded || "", "danger"); });
      };
    }
    const box = new window.TomSelect(select, settings);
    if (box.settings.dropdownParent) { box.on("dropdown_open", () => place(box)); }
    // Tab takes the marked option once something was typed. Without that it only goes on: passing by must choose nothing.
    box.on("type", (text) => { box.settings.selectOnTab = text !== ""; });
    for (const end of ["item_add", "blur"]) { box.on(end, () => { box.settings.selectOnTab = false; }); }
    const input = box.control_input;
    // The select stays as the form's value; only the box that stands for it is read out.
    select.setAttribute("aria-hidden", "true");
    if (label) { input.setAttribute("aria-label", label); }
    if (described) { input.setAttribute("aria-describedby", described); }
    if (invalid) { input.setAttribute("aria-invalid", invalid); }
    if (isRequired) { input.setAttribute("aria-required", "true"); }
    if (label) { box.dropdown_content.setAttribute("aria-label", label); }
    // Escape without a choice leaves the field as it was, and does not close a dialog around it. What was under way when it was
    // pressed (the focus, the server's list) must not open the list again: Enter would take an option that nobody chose.
    let dismissed = false;
    const open = box.open;
    box.hook("instead", "open", () => { if (!dismissed) { open.call(box); } });
    input.addEventListener("keydown", (event) => {
      dismissed = event.key === "Escape";
      if (dismissed && box.isOpen) { event.stopPropagation(); event.preventDefault(); box.close(); }
    }, true);
    box.control.addEventListener("pointerdown", () => { dismissed = false; });
    box.on("blur", () => { dismissed = false; });
  };

  const enhanceAll = (root) => {
    if (root instanceof HTMLSelectElement && root.matches("select[data-search]")) { enhance(root); }
    root.querySelectorAll?.("select[data-search]").forEach(enhance);
  };
  const start = () => enhanceAll(document);
  if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", start); } else { start(); }
  window.addEventListener("resize", () => document.querySelectorAll("select.tomselected").forEach((select) => {
    if (select.tomselect.isOpen && select.tomselect.settings.dropdownParent) { place(select.tomselect); }
  }));
  document.addEventListener("htmx:load", (event) => enhanceAll(event.detail.elt));
  document.addEventListener("htmx:beforeCleanupElement", (event) => { event.detail.elt.tomselect?.destroy(); });
}());
