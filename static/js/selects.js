// Turns each <select data-search> into a dropdown that searches as you type. Without JavaScript the select stays.
//
// data-url="…"         asks the server (?q=…) for lists too long to ship: answers {"results": [{value, text, note?, disabled?}]}
// data-placeholder="…" what the empty field says        data-none="…"  what an empty result says
// option data-note="…" a short remark at the option's end, for example “needs space no.”
// option data-exact="…" what finds it letter for letter, for example a zone's number; without it, its text
// An empty option that has a text (“no zone”, “All locations”) can be chosen like any other, unless a choice is required.
(function () {
  "use strict";
  const MAX_OPTIONS = 200;

  // More than any other score.
  const EXACT = 1000;
  const isExact = (option, query) => query.trim() !== "" && (option.exact || option.text || "").trim() === query.trim();

  const line = (data, escape) => {
    const note = data.note ? `<span class="os-option__note">${escape(data.note)}</span>` : "";
    return `<div class="os-option"><span>${escape(data.text)}</span>${note}</div>`;
  };

  // Says a choice to screen readers, which hear nothing of it otherwise: the input that they are in stays empty.
  const announce = (text) => {
    let region = document.getElementById("chosen-said");
    if (!region) {
      region = Object.assign(document.createElement("div"), { id: "chosen-said", className: "visually-hidden" });
      region.setAttribute("role", "status");
      document.body.append(region);
    }
    region.textContent = text;
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
    // What the server was last asked and has answered, in its order; and what Enter was pressed on before it had.
    let answered = null, ranks = new Map(), entered = null;
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
      // What was typed letter for letter comes first: `LotB` and `LOTB` may be two zones. Choosing nothing is offered, and
      // never found: Enter pressed right after typing must not take it.
      score(query) {
        const found = this.getScoreFunction(query);
        return (option) => (option.value === "" ? 0 : found(option) + (isExact(option, query) ? EXACT : 0));
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
      // The server searched: what it found for these letters is not filtered again, and stands in its order. Until it has
      // answered only what holds them is offered.
      settings.score = function (query) {
        const found = this.getScoreFunction(query);
        return (option) => {
          if (option.value === "") { return 0; }
          const rank = ranks.get(String(option.value));
          const score = query === answered ? (rank === undefined ? 0 : 1 - rank / (ranks.size + 1)) : found(option);
          return score && score + (isExact(option, query) ? EXACT : 0);
        };
      };
      settings.loadThrottle = 200;
      settings.load = function (query, done) {
        const address = new URL(url, window.location.href);
        address.searchParams.set("q", query);
        fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" })
          .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
          .then((body) => {
            // Somebody has typed on: the answer to that is on its way.
            if (query !== this.inputValue()) { delete this.loadedSearches[query]; done(); return; }
            answered = query;
            ranks = new Map(body.results.map((one, rank) => [String(one.value), rank]));
            this.clearOptions((option) => option.value === "" || this.items.includes(String(option.value)));
            done(body.results);
            if (entered === query) { takeEntered(body.results); }
            entered = null;
          })
          .catch(() => { done(); window.showToast?.(document.body.dataset.sayNotLoaded || "", "danger"); });
      };
    }
    const box = new window.TomSelect(select, settings);
    if (box.settings.dropdownParent) { box.on("dropdown_open", () => place(box)); }
    // What was typed marks what fits it best, not what is chosen already and fits it too.
    const markFirst = () => {
      const first = box.inputValue() && box.isOpen && box.dropdown_content.querySelector("[data-selectable]:not([data-value=''])");
      if (first) { box.setActiveOption(first); }
    };
    for (const news of ["type", "load"]) { box.on(news, markFirst); }
    // Tab takes the marked option once something was typed. Without that it only goes on: passing by must choose nothing.
    box.on("type", (text) => { box.settings.selectOnTab = text !== ""; });
    for (const end of ["item_add", "blur"]) { box.on(end, () => { box.settings.selectOnTab = false; }); }
    const input = box.control_input;
    const isOpenQuestion = () => {
      const query = box.inputValue();
      const active = box.activeOption && box.options[box.activeOption.dataset.value];
      return Boolean(url) && query !== "" && query !== answered && !(active && isExact(active, query));
    };
    // Enter waits for the server's answer, and takes what was typed letter for letter, or the only zone found; with several
    // the list stays open.
    const takeEntered = (results) => {
      const only = results.find((one) => isExact(one, entered)) || (results.length === 1 ? results[0] : null);
      if (only) { box.addItem(String(only.value)); box.close(); box.setTextboxValue(""); box.refreshOptions(false); }
    };
    // The select stays as the form's value; only the box that stands for it is read out.
    select.setAttribute("aria-hidden", "true");
    if (label) { input.setAttribute("aria-label", label); }
    // What is chosen stands beside the input, not in it: it is part of the description, and said when it changes.
    const describe = () => {
      const chosen = [...box.control.querySelectorAll(".item")];
      chosen.forEach((item, place) => { item.id = `${input.id}-chosen-${place}`; });
      const ids = [...chosen.map((item) => item.id), described].filter(Boolean).join(" ");
      if (ids) { input.setAttribute("aria-describedby", ids); } else { input.removeAttribute("aria-describedby"); }
    };
    describe();
    for (const change of ["change", "load"]) { box.on(change, describe); }
    box.on("item_add", (value, item) => { if (box.isFocused) { announce(item.textContent.trim()); } });
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
      if (event.key === "Enter" && isOpenQuestion()) { entered = box.inputValue(); event.stopPropagation(); event.preventDefault(); return; }
      if (event.key === "Tab" && isOpenQuestion()) { box.settings.selectOnTab = false; }
      if (dismissed && box.isOpen) { event.stopPropagation(); event.preventDefault(); box.close(); }
    }, true);
    box.control.addEventListener("pointerdown", () => { dismissed = false; });
    box.on("blur", () => { dismissed = false; });
    // For scripts that bring the keyboard back here: the list opens once somebody asks for it.
    box.focusClosed = () => { dismissed = true; box.focus(); };
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
