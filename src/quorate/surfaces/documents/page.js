"use strict";

const links = [...document.querySelectorAll("#apis a")];
const wanted = new URLSearchParams(location.search).get("api");
const chosen = links.find((link) => link.textContent === wanted) || links[0];
chosen.setAttribute("aria-current", "page");

// No validator: it would send the document to somebody else's server.
SwaggerUIBundle({
  dom_id: "#api",
  url: chosen.dataset.document,
  deepLinking: true,
  displayOperationId: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null,
});
