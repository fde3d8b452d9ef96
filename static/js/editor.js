// The strategy editor: scrolling line numbers, marked error lines, Tab inserts two spaces.
"use strict";

(() => {
  document.querySelector("[data-focus]")?.focus();
  const editor = document.querySelector("[data-editor]");
  if (!editor) return;
  const gutter = document.querySelector("[data-lines]");
  let errorLines = new Set();

  const number = () => {
    const count = editor.value.split("\n").length;
    gutter.replaceChildren();
    for (let line = 1; line <= count; line += 1) {
      const mark = document.createElement("span");
      mark.textContent = line;
      if (errorLines.has(line)) mark.className = "bad-line";
      gutter.append(mark, "\n");
    }
    gutter.scrollTop = editor.scrollTop;
  };

  editor.addEventListener("input", number);
  editor.addEventListener("scroll", () => { gutter.scrollTop = editor.scrollTop; });
  // After Escape, Tab leaves the editor, for keyboard users.
  let leaving = false;
  editor.addEventListener("keydown", (event) => {
    if (event.key === "Tab" && !event.shiftKey && !leaving) {
      event.preventDefault();
      editor.setRangeText("  ", editor.selectionStart, editor.selectionEnd, "end");
      editor.dispatchEvent(new Event("input", { bubbles: true }));
    }
    leaving = event.key === "Escape";
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-goto]");
    if (!link) return;
    event.preventDefault();
    const lines = editor.value.split("\n");
    const line = Number(link.dataset.goto) - 1;
    const start = lines.slice(0, line).join("\n").length + (line > 0 ? 1 : 0);
    editor.focus();
    editor.setSelectionRange(start, start + (lines[line] || "").length);
    editor.scrollTop = Math.max(0, line - 6) * parseFloat(getComputedStyle(editor).lineHeight);
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "preview") return;
    errorLines = new Set([...document.querySelectorAll("[data-bad-line]")].map((link) => Number(link.dataset.badLine)));
    editor.setAttribute("aria-invalid", String(errorLines.size > 0));
    number();
  });

  const example = document.querySelector("[data-example]");
  example?.addEventListener("change", async () => {
    if (!example.value) return;
    const response = await fetch(`/dashboard/strategies/text?of=${encodeURIComponent(example.value)}`);
    if (!response.ok) return;
    if (editor.value.trim() && !window.confirm("Replace the text in the editor?")) return;
    editor.value = await response.text();
    editor.dispatchEvent(new Event("input", { bubbles: true }));
  });

  number();
})();
