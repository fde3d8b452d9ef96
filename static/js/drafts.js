// Keeps form input in this tab until it is submitted, and restores it after an expired session, a server outage
// or leaving the page by mistake.
"use strict";

(() => {
  document.querySelector("[data-focus]")?.focus();
  const prefix = "draft:";
  if (document.querySelector("[data-submitted]")) {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(prefix)) sessionStorage.removeItem(key);
  }
  const form = document.querySelector("form[data-draft]");
  if (!form) return;
  const key = prefix + location.pathname;
  const fields = [...form.elements].filter((field) => field.name && !["hidden", "file", "submit"].includes(field.type));
  const valueOf = (field) => (field.type === "checkbox" ? field.checked : field.value);
  const initial = JSON.stringify(fields.map(valueOf));

  const draft = JSON.parse(sessionStorage.getItem(key) || "null");
  // A form filled by the server (with errors, a clone, a link with symbols) takes precedence over the draft.
  if (draft && form.dataset.draft === "empty") {
    for (const field of fields) {
      if (!(field.name in draft)) continue;
      if (field.type === "checkbox") field.checked = draft[field.name];
      else field.value = draft[field.name];
    }
    form.querySelector("[data-draft-note]").hidden = JSON.stringify(fields.map(valueOf)) === initial;
  }
  const save = () => sessionStorage.setItem(key, JSON.stringify(Object.fromEntries(fields.map((field) => [field.name, valueOf(field)]))));
  form.addEventListener("input", save);
  form.addEventListener("change", save);
  form.querySelector("[data-draft-drop]").addEventListener("click", () => {
    sessionStorage.removeItem(key);
    location.reload();
  });
})();
