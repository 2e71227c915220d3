// The mail that asks for the operator ID: "copy" and "open in the mail program" take what stands in the form now.
(function () {
  "use strict";

  const form = document.querySelector("[data-mail-form]");
  if (!form) { return; }
  const value = (name) => form.elements.namedItem(name)?.value || "";
  const link = form.querySelector("[data-mail-open]");
  const copy = form.querySelector("[data-mail-copy]");
  const renew = () => {
    const query = `subject=${encodeURIComponent(value("subject"))}&body=${encodeURIComponent(value("text"))}`;
    if (link) { link.href = `mailto:${encodeURIComponent(value("rep_email")).replace("%40", "@")}?${query}`; }
    if (copy) { copy.dataset.copy = value("text"); }
  };
  form.addEventListener("input", renew);
  renew();
})();
