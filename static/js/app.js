// Small comforts on top of pages that work without them. Everything is delegated from the document, so that what htmx
// swaps in works at once; no handler and no style stands in the HTML.
(function () {
  "use strict";

  // --- Theme -----------------------------------------------------------------------------------------------------
  const markTheme = () => {
    for (const button of document.querySelectorAll("[data-theme-choice-button]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoiceButton === document.documentElement.dataset.themeChoice));
    }
  };

  // --- Dialogs ---------------------------------------------------------------------------------------------------
  const openDialog = (dialog) => {
    if (dialog instanceof HTMLDialogElement && !dialog.open) { dialog.showModal(); }
  };
  const closeDialog = (element) => element.closest("dialog")?.close();

  // --- Toasts ----------------------------------------------------------------------------------------------------
  const TONE_ICONS = { success: "check", warning: "alert-triangle", danger: "x", info: "info-circle", neutral: "circle-dashed" };
  const removeToast = (toast) => toast.remove();
  const startToast = (toast) => {
    const seconds = Number(toast.dataset.toastSeconds || 0);
    if (!seconds || toast.dataset.toastStarted) { return; }
    toast.dataset.toastStarted = "yes";
    let left = seconds * 1000;
    let begun = 0;
    let timer = 0;
    const run = () => { begun = Date.now(); timer = window.setTimeout(() => removeToast(toast), left); };
    const hold = () => { window.clearTimeout(timer); left = Math.max(1500, left - (Date.now() - begun)); };
    // Nobody loses a message they are reading or about to act on.
    toast.addEventListener("mouseenter", hold);
    toast.addEventListener("mouseleave", run);
    toast.addEventListener("focusin", hold);
    toast.addEventListener("focusout", run);
    run();
  };
  const startToasts = () => document.querySelectorAll("[data-toast]").forEach(startToast);
  const spriteHref = () => document.querySelector("meta[name='icons']")?.content || "";
  const showToast = (text, tone) => {
    const holder = document.getElementById("toasts");
    const shape = document.getElementById("toast-shape");
    if (!holder || !shape) { return; }
    const known = TONE_ICONS[tone] ? tone : "info";
    const toast = shape.content.firstElementChild.cloneNode(true);
    toast.classList.replace("os-tone-neutral", `os-tone-${known}`);
    toast.querySelector("use").setAttribute("href", `${spriteHref()}#${TONE_ICONS[known]}`);
    toast.querySelector(".os-toast__text").textContent = text;
    if (known === "success") { toast.dataset.toastSeconds = "8"; }
    holder.append(toast);
    startToast(toast);
  };

  // --- Copy ------------------------------------------------------------------------------------------------------
  const say = (key) => document.body.dataset[key] || "";
  const copy = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      showToast(say("sayCopied"), "success");
    } catch (refused) {
      showToast(say("sayNotCopied"), "warning");
    }
  };

  // --- Selecting rows --------------------------------------------------------------------------------------------
  // <input type=checkbox data-check-all="row"> checks all [data-check="row"]; [data-check-count="row"] tells how many.
  const countChecks = (group) => {
    const boxes = [...document.querySelectorAll(`[data-check="${CSS.escape(group)}"]:not(:disabled)`)];
    const checked = boxes.filter((box) => box.checked).length;
    for (const all of document.querySelectorAll(`[data-check-all="${CSS.escape(group)}"]`)) {
      all.checked = checked > 0 && checked === boxes.length;
      all.indeterminate = checked > 0 && checked < boxes.length;
    }
    for (const place of document.querySelectorAll(`[data-check-count="${CSS.escape(group)}"]`)) { place.textContent = String(checked); }
    for (const part of document.querySelectorAll(`[data-check-needed="${CSS.escape(group)}"]`)) { part.disabled = checked === 0; }
  };

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) { return; }
    const opener = target.closest("[data-dialog]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog);
      if (dialog) { event.preventDefault(); openDialog(dialog); }
    }
    const closer = target.closest("[data-dialog-close]");
    if (closer) { event.preventDefault(); closeDialog(closer); }
    if (target instanceof HTMLDialogElement && target.open) {
      // A click on the backdrop lands on the dialog itself, outside of its box.
      const box = target.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!inside) { target.close(); }
    }
    const toastCloser = target.closest("[data-toast-close]");
    if (toastCloser) { removeToast(toastCloser.closest("[data-toast]")); }
    const copier = target.closest("[data-copy]");
    if (copier) { copy(copier); }
    const theme = target.closest("[data-theme-choice-button]");
    if (theme) { window.setTheme(theme.dataset.themeChoiceButton); markTheme(); }
    if (target.closest("[data-print]")) { event.preventDefault(); window.print(); }
    for (const menu of document.querySelectorAll("details.os-menu[open]")) {
      if (!menu.contains(target)) { menu.open = false; }
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") { return; }
    for (const menu of document.querySelectorAll("details.os-menu[open], .os-top > details[open]")) {
      const held = menu.contains(document.activeElement);
      menu.open = false;
      if (held) { menu.querySelector("summary")?.focus(); }
    }
  });

  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!(box instanceof HTMLInputElement)) { return; }
    if (box.dataset.checkAll) {
      for (const one of document.querySelectorAll(`[data-check="${CSS.escape(box.dataset.checkAll)}"]:not(:disabled)`)) { one.checked = box.checked; }
    }
    const group = box.dataset.checkAll || box.dataset.check;
    if (group) { countChecks(group); }
  });

  // --- htmx ------------------------------------------------------------------------------------------------------
  // What this page asks for comes marked as part of it; without the mark htmx leaves it alone (offstreet/templatetags/htmx.py).
  document.addEventListener("htmx:configRequest", (event) => { event.detail.headers["X-Page-Mark"] = window.htmx.config.pageMark; });
  // A swap into #dialog-content opens the shared dialog; an answer with HX-Trigger "closeDialog" closes it.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target instanceof Element && event.target.id === "dialog-content") {
      const dialog = event.target.closest("dialog");
      const heading = event.target.querySelector("h1, h2, h3, h4");
      if (heading) { heading.id = heading.id || "dialog-heading"; dialog.setAttribute("aria-labelledby", heading.id); }
      openDialog(dialog);
    }
  });
  document.addEventListener("htmx:afterSettle", () => {
    startToasts();
    markTheme();
    document.querySelectorAll("[data-into]").forEach((button) => { button.hidden = false; });
    new Set([...document.querySelectorAll("[data-check]")].map((box) => box.dataset.check)).forEach(countChecks);
  });
  document.addEventListener("htmx:oobAfterSwap", startToasts);
  document.addEventListener("closeDialog", () => document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close()));
  document.addEventListener("toast", (event) => showToast(event.detail?.text || "", event.detail?.tone || "info"));
  // --- Polls -----------------------------------------------------------------------------------------------------
  // A part that renews itself (hx-trigger="every …") rests while nobody looks, waits while somebody has typed or
  // selected something in it, and keeps the keyboard's place and what was unfolded.
  const isPoll = (detail) => /\bevery\b/.test(detail.elt?.getAttribute?.("hx-trigger") || "")
    && ["", "visibilitychange"].includes(detail.requestConfig?.triggeringEvent?.type || "");
  for (const kind of ["input", "change"]) {
    document.addEventListener(kind, (event) => {
      const field = event.target;
      if (field.closest && !field.closest("[hx-preserve]")) { field.closest("[hx-trigger*='every']")?.setAttribute("data-typed", ""); }
    });
  }
  const isHeld = (part) => {
    const selection = document.getSelection();
    return (selection && !selection.isCollapsed && selection.containsNode(part, true))
      || part.contains(document.activeElement?.closest("input, textarea, select"))
      || part.hasAttribute("data-typed");
  };
  // What stands for the same thing after a swap: its id, or what it is, where it leads and what it says.
  const nameOf = (one) => one.id || [one.tagName, one.getAttribute("href"), one.getAttribute("name"), one.textContent.trim()].join(" ");
  const places = new WeakMap();
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && isPoll(event.detail)) { event.preventDefault(); }
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr } = event.detail;
    if (!isPoll(event.detail) || !(target instanceof Element)) { return; }
    if (isHeld(target)) { event.detail.shouldSwap = false; return; }
    const focused = document.activeElement;
    places.set(xhr, {
      id: target.id,
      focus: target.contains(focused) ? nameOf(focused) : "",
      open: [...target.querySelectorAll("details[open] > summary")].map(nameOf),
    });
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const place = places.get(event.detail?.xhr);
    const part = place && document.getElementById(place.id);
    if (!part) { return; }
    places.delete(event.detail.xhr);
    for (const summary of part.querySelectorAll("details > summary")) {
      if (place.open.includes(nameOf(summary))) { summary.parentElement.open = true; }
    }
    if (place.focus && !part.contains(document.activeElement)) {
      [...part.querySelectorAll("a[href], button, summary")].find((one) => nameOf(one) === place.focus)?.focus({ preventScroll: true });
    }
  });

  // A page that cannot reach the server says so once, and again only after it has been reached. Nobody here knows whether a form
  // that got no answer was saved, so nothing is said about it but that.
  let unreachable = false;
  const saidOnce = (text) => { if (!unreachable) { showToast(text, "danger"); } unreachable = true; };
  const isRead = (detail) => detail?.requestConfig?.verb === "get";
  const unanswered = (event) => {
    if (isRead(event.detail)) { saidOnce(say("sayUnreachable")); } else { showToast(say("sayUnanswered"), "danger"); }
  };
  document.addEventListener("htmx:sendError", unanswered);
  document.addEventListener("htmx:timeout", unanswered);
  // 503: the database is busy. What only reads, and what is known to have written nothing, is asked again automatically, with what
  // stands in the form by then; a poll comes again anyway.
  const MAX_RETRIES = 20;
  const retries = new WeakMap();
  const askAgain = ({ elt, target, pathInfo, requestConfig, xhr }) => {
    const tried = retries.get(elt) || 0;
    if (xhr.status !== 503 || tried >= MAX_RETRIES || !(requestConfig.verb === "get" || xhr.getResponseHeader("X-Nothing-Written"))) { return false; }
    if (isPoll({ elt, requestConfig })) { return true; }
    retries.set(elt, tried + 1);
    const cause = requestConfig.triggeringEvent;
    const button = cause?.submitter;
    const pause = 1000 * (Number(xhr.getResponseHeader("Retry-After")) || 5) * (0.8 + 0.4 * Math.random());
    window.setTimeout(() => {
      if (!elt.isConnected) { return; }
      const values = button?.name ? { [button.name]: button.value } : {};
      window.htmx.ajax(requestConfig.verb, pathInfo.requestPath, { source: elt, target, event: cause, values });
    }, pause);
    return true;
  };
  document.addEventListener("htmx:responseError", (event) => {
    const { detail } = event;
    const status = detail?.xhr?.status;
    if (askAgain(detail)) { saidOnce(say("sayBusy")); }
    else if (status === 403 || status === 401) { showToast(say("sayRefused"), "danger"); }
    else if (isRead(detail)) { saidOnce(say("sayNotLoaded")); }
    else { showToast(say("sayFailed"), "danger"); }
  });
  document.addEventListener("htmx:afterOnLoad", ({ detail }) => {
    if (!detail?.successful) { return; }
    unreachable = false;
    if (detail.elt) { retries.delete(detail.elt); }
  });

  // A button that types a value into a field.
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-into]");
    const field = button && document.getElementById(button.dataset.into);
    if (!field) { return; }
    field.value = button.dataset.type;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  });
  // A picker for a date and a time takes no other text: where one is pasted, it becomes a text, and the server reads it.
  document.addEventListener("paste", (event) => {
    const field = event.target.closest?.("input[data-clock]");
    const text = event.clipboardData?.getData("text/plain").trim();
    if (field?.type !== "datetime-local" || !text) { return; }
    event.preventDefault();
    field.value = text;
    if (!field.value) { field.type = "text"; field.value = text; }
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });

  const start = () => {
    markTheme();
    startToasts();
    // On a phone a row of tabs is wider than the window: the one that is open comes to its middle. The row alone is moved, since
    // `scrollIntoView` would have the keyboard begin there and not at the top of the page.
    document.querySelectorAll(".os-tabs [aria-current]").forEach((tab) => {
      const row = tab.closest(".os-tabs"), from = row.getBoundingClientRect(), to = tab.getBoundingClientRect();
      row.scrollLeft += to.left + to.width / 2 - from.left - from.width / 2;
    });
    // Lands on the first thing that is wrong, with or without a summary of errors above it.
    document.querySelector("main [aria-invalid='true']")?.focus();
    document.querySelectorAll("dialog[data-open]").forEach(openDialog);
    document.querySelectorAll("[data-into]").forEach((button) => { button.hidden = false; });
    new Set([...document.querySelectorAll("[data-check]")].map((box) => box.dataset.check)).forEach(countChecks);
  };
  if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", start); } else { start(); }
  window.showToast = showToast;
}());
