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

  // After two failed polls in a row, a bar shows how old the page is, and its live parts are greyed.
  const bar = document.querySelector("[data-connection]");
  let failures = 0;
  let lastUpdate = Date.now();
  const showConnection = () => {
    const isLost = failures >= 2;
    if (isLost !== document.documentElement.hasAttribute("data-stale")) bar.hidden = !isLost;
    document.documentElement.toggleAttribute("data-stale", isLost);
    if (!isLost) return;
    const seconds = Math.round((Date.now() - lastUpdate) / 1000);
    const age = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
    bar.textContent = `Connection lost. Last update ${age} ago; retrying.`;
  };
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt.dataset.live === undefined) return;
    const status = event.detail.xhr?.status || 0;
    failures = status === 0 || status >= 500 ? failures + 1 : 0;
    if (!failures) lastUpdate = Date.now();
    showConnection();
  });
  setInterval(showConnection, 1000);

  // A preview follows each keystroke. When the session has ended it must not take the page away from the person who
  // types; the next submission leads to the sign-in page, and the draft comes back after it.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr, elt, requestConfig } = event.detail;
    if (xhr.status !== 401 || elt.dataset.live !== undefined || requestConfig.triggeringEvent?.type === "click") return;
    event.preventDefault();
    bar.hidden = false;
    const keeps = document.querySelector("form[data-draft]") ? "Submit the form to sign in again; your draft is kept in this tab." : "Copy what you entered before you sign in again.";
    bar.textContent = `Your session has ended. ${keeps}`;
  });

  // A swapped part may carry a new title for the page.
  document.addEventListener("htmx:afterSwap", () => {
    const title = document.querySelector("[data-title]")?.dataset.title;
    if (title) document.title = title;
  });

  // Folds that somebody opened or closed stay so when their part is swapped.
  const folds = new Map();
  document.addEventListener("click", (event) => {
    const fold = event.target.closest("[data-keep-open] > summary")?.parentElement;
    if (fold) folds.set(fold.id, !fold.open); // the click changes it afterwards
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const [id, isOpen] of folds) document.getElementById(id)?.toggleAttribute("open", isOpen);
  });

  // Do not swap a part while a menu in it is open.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const element = event.detail.elt;
    if (element.dataset.live !== undefined && element.querySelector("details.menu[open]")) event.preventDefault();
  });
})();
