// The browsable API: forms send JSON with any method and a CSRF token, and show the response.
"use strict";

(() => {
  const output = document.querySelector("[data-answer]");

  function show(text, location) {
    const link = output.querySelector("a");
    link.hidden = !location;
    if (location) link.href = location;
    output.querySelector("pre").textContent = text;
    output.hidden = false;
    output.scrollIntoView({ block: "nearest" });
  }

  function prettyPrint(text) {
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
      show(`Not sent: the text is not valid JSON (${error.message}).`);
      return;
    }
    const response = await fetch(form.action, {
      method: form.dataset.method,
      body,
      headers: {
        Accept: "application/json",
        "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
        ...(body !== undefined && { "Content-Type": "application/json" }),
      },
    });
    const text = `HTTP ${response.status} ${response.statusText}\n\n${prettyPrint(await response.text())}`;
    show(text, response.headers.get("Location"));
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
