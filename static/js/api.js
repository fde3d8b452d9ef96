// The API in a browser: forms send JSON by any method, with the token against forgery, and show the answer.
"use strict";

(() => {
  const shown = document.querySelector("[data-answer]");

  function show(text, made) {
    const link = shown.querySelector("a");
    link.hidden = !made;
    if (made) link.href = made;
    shown.querySelector("pre").textContent = text;
    shown.hidden = false;
    shown.scrollIntoView({ block: "nearest" });
  }

  function readable(text) {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  }

  async function send(form) {
    const body = form.elements.content?.value;
    try {
      JSON.parse(body ?? "{}");
    } catch (error) {
      show(`Not sent: this is not JSON (${error.message}).`);
      return;
    }
    const answer = await fetch(form.action, {
      method: form.dataset.method,
      body,
      headers: {
        Accept: "application/json",
        "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
        ...(body !== undefined && { "Content-Type": "application/json" }),
      },
    });
    const text = `HTTP ${answer.status} ${answer.statusText}\n\n${readable(await answer.text())}`;
    show(text, answer.headers.get("Location"));
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.method || event.defaultPrevented) return;
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      await send(form);
    } finally {
      button.disabled = false;
    }
  });
})();
