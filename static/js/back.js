// A page that the browser kept alive and brings back as it was (the back/forward cache) is asked for again, and shows nothing until
// then: whoever looked at it may have signed out since. Pages say `no-store`, but not every browser heeds that here.
(function () {
  "use strict";
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) { return; }
    document.documentElement.hidden = true;
    window.location.reload();
  });
}());
