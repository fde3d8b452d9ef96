// What was typed into a form is kept in this tab until an operation was made of it: it comes back after a sign-in
// that had run out, a server that was away, or a page left by mistake.
"use strict";

(() => {
  const prefix = "draft:";
  if (document.querySelector("[data-submitted]")) {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(prefix)) sessionStorage.removeItem(key);
  }
  const form = document.querySelector("form[data-draft]");
  if (!form) return;
  const key = prefix + location.pathname;
  const fields = [...form.elements].filter((field) => field.name && !["hidden", "file", "submit"].includes(field.type));
  const kept = (field) => (field.type === "checkbox" ? field.checked : field.value);
  const first = JSON.stringify(fields.map(kept));

  const draft = JSON.parse(sessionStorage.getItem(key) || "null");
  // A form that the server filled (refused, a clone, a link with symbols) says more than what was typed before it.
  if (draft && form.dataset.draft === "empty") {
    for (const field of fields) {
      if (!(field.name in draft)) continue;
      if (field.type === "checkbox") field.checked = draft[field.name];
      else field.value = draft[field.name];
    }
    form.querySelector("[data-draft-note]").hidden = JSON.stringify(fields.map(kept)) === first;
  }
  const keep = () => sessionStorage.setItem(key, JSON.stringify(Object.fromEntries(fields.map((field) => [field.name, kept(field)]))));
  form.addEventListener("input", keep);
  form.addEventListener("change", keep);
  form.querySelector("[data-draft-drop]").addEventListener("click", () => {
    sessionStorage.removeItem(key);
    location.reload();
  });
})();
