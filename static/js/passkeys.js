/* What allauth's scripts tell when a passkey was not made or not shown: said on the page instead of in the console. */
"use strict";

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  document.getElementById("passkey_error").hidden = false;
});
