// The page that says "the database is busy" opens what was asked for, or sends the form again, automatically.
(function () {
  "use strict";
  const part = document.querySelector("[data-retry-after]");
  if (!part) { return; }
  const again = () => { if (part instanceof HTMLFormElement) { part.requestSubmit(); } else { window.location.replace(part.href); } };
  // Not all at the same moment.
  window.setTimeout(again, Number(part.dataset.retryAfter) * 1000 * (0.8 + 0.4 * Math.random()));
}());
