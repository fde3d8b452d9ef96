// Live parts of a page: a "tick" every two seconds while the tab is visible; unchanged parts are not swapped.
"use strict";

(() => {
  const intervalMs = 2000;

  // Parts have hx-trigger="tick from:body", which the server omits once nothing will change.
  const tick = () => {
    if (!document.hidden && document.querySelector("[data-live]")) htmx.trigger(document.body, "tick");
  };
  setInterval(tick, intervalMs);
  document.addEventListener("visibilitychange", tick);

  document.addEventListener("htmx:configRequest", (event) => {
    const etag = event.detail.elt.dataset.etag;
    if (etag) event.detail.headers["If-None-Match"] = etag;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const element = event.detail.elt;
    const etag = event.detail.xhr?.getResponseHeader("ETag");
    if (etag && element.isConnected && element.dataset.live !== undefined) element.dataset.etag = etag;
  });

  // A swapped part may carry a new title for the page.
  document.addEventListener("htmx:afterSwap", () => {
    const title = document.querySelector("[data-title]")?.dataset.title;
    if (title) document.title = title;
  });

  // Do not swap a part while a menu in it is open.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const element = event.detail.elt;
    if (element.dataset.live !== undefined && element.querySelector("details.menu[open]")) event.preventDefault();
  });
})();
