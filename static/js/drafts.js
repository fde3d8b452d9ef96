// Keeps the input of long forms in this tab until it is submitted, and restores it after an expired session, a server
// outage or leaving the page by mistake.
//
// <form id="..." action="..." data-draft="empty">; "filled" if the server shows input again, which takes precedence.
// With [data-draft-post] the fields depend on the input: the draft is posted, and the server answers with its fields.
"use strict";

(() => {
  document.querySelector("[data-focus]")?.focus();
  const PREFIX = "draft:";
  const SENT = "drafts-sent"; // keys of the drafts that were submitted, until a page confirms it
  const POSTED = "draft-posted";
  const NOT_KEPT = ["hidden", "file", "submit", "password"];

  const sent = () => JSON.parse(sessionStorage.getItem(SENT) || "[]");
  if (document.querySelector("[data-submitted]")) {
    for (const key of [...sent(), SENT]) sessionStorage.removeItem(key);
  }

  const isBox = (field) => field.type === "checkbox" || field.type === "radio";
  const valueOf = (field) => (isBox(field) ? field.checked : field.value);

  // [name, value] of each field, in the order of the page.
  const fieldsOf = (form) => [...form.elements].filter((field) => field.name && !NOT_KEPT.includes(field.type));
  const read = (form) => fieldsOf(form).map((field) => [field.name, valueOf(field)]);
  const readAll = (form) => [...new FormData(form)].filter(([name]) => name !== "csrfmiddlewaretoken");

  // Fields of the same name are told apart by their order; those that the form lacks now are left out.
  // Returns the fields that changed.
  function fill(form, draft) {
    const fields = fieldsOf(form);
    const changed = [];
    for (const [name, value] of draft) {
      const at = fields.findIndex((field) => field.name === name);
      if (at < 0) continue;
      const [field] = fields.splice(at, 1);
      if (valueOf(field) === value) continue;
      if (isBox(field)) field.checked = value;
      else field.value = value;
      changed.push(field);
    }
    return changed;
  }

  function post(form, draft, key) {
    sessionStorage.setItem(POSTED, key);
    const copy = form.cloneNode(false);
    copy.append(form.querySelector("[name=csrfmiddlewaretoken]").cloneNode());
    for (const [name, value] of draft) {
      const field = document.createElement("textarea");
      Object.assign(field, { name, value });
      copy.append(field);
    }
    copy.hidden = true;
    form.after(copy);
    copy.submit();
  }

  function addNote(form, key) {
    const note = document.createElement("div");
    const text = document.createElement("span");
    const drop = document.createElement("button");
    note.className = "note note-info";
    note.setAttribute("role", "status");
    Object.assign(drop, { type: "button", className: "button", textContent: "Discard draft" });
    drop.addEventListener("click", () => {
      sessionStorage.removeItem(key);
      location.assign(location.href.split("#")[0]); // not reload(), which would post the draft again
    });
    text.append("Your earlier draft was restored. ", drop);
    note.append(text);
    form.before(note);
    for (let fold = form.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  }

  function restore(form, draft, key) {
    const changed = fill(form, draft);
    if (!changed.length) return;
    addNote(form, key);
    // The parts of the page that follow the input listen from here on.
    document.addEventListener("DOMContentLoaded", () => {
      for (const field of changed) field.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }

  for (const form of document.querySelectorAll("form[data-draft]")) {
    const key = `${PREFIX}${new URL(form.getAttribute("action"), location.href).pathname}#${form.id}`;
    const draft = JSON.parse(sessionStorage.getItem(key) || "null");
    const isByServer = form.hasAttribute("data-draft-post");
    const isEmpty = form.dataset.draft === "empty";
    const wasPosted = isByServer && sessionStorage.getItem(POSTED) === key;
    if (isByServer) sessionStorage.removeItem(POSTED);
    if (wasPosted && !isEmpty) addNote(form, key);
    else if (draft && isEmpty && !wasPosted) (isByServer ? post : restore)(form, draft, key);

    const save = () => sessionStorage.setItem(key, JSON.stringify(isByServer ? readAll(form) : read(form)));
    form.addEventListener("input", save);
    form.addEventListener("change", save);
    form.addEventListener("submit", () => sessionStorage.setItem(SENT, JSON.stringify([...new Set([...sent(), key])])));
  }
})();
