// Live parts of a page: a "tick" every two seconds while the tab is visible, and no swap where nothing changed.
"use strict";

(() => {
  const beat = 2000;

  // Parts say hx-trigger="tick from:body"; the server leaves that out when nothing more will change.
  const tick = () => {
    if (!document.hidden && document.querySelector("[data-live]")) htmx.trigger(document.body, "tick");
  };
  setInterval(tick, beat);
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

  // A swapped part may carry the page's new title, and says in one word when the work has ended.
  document.addEventListener("htmx:afterSwap", () => {
    const title = document.querySelector("[data-title]")?.dataset.title;
    if (title) document.title = title;
  });

  // Whoever reads or selects inside a part, or has a menu open there, is not disturbed.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const element = event.detail.elt;
    if (element.dataset.live !== undefined && element.querySelector("details.menu[open]")) event.preventDefault();
  });
})();
