// The strategy editor: line numbers that scroll along, marks at lines with an error, Tab as two spaces.
"use strict";

(() => {
  document.querySelector("[data-focus]")?.focus();
  const editor = document.querySelector("[data-editor]");
  if (!editor) return;
  const gutter = document.querySelector("[data-lines]");
  let bad = new Set();

  const number = () => {
    const count = editor.value.split("\n").length;
    gutter.replaceChildren();
    for (let line = 1; line <= count; line += 1) {
      const mark = document.createElement("span");
      mark.textContent = line;
      if (bad.has(line)) mark.className = "bad-line";
      gutter.append(mark, "\n");
    }
    gutter.scrollTop = editor.scrollTop;
  };

  editor.addEventListener("input", number);
  editor.addEventListener("scroll", () => { gutter.scrollTop = editor.scrollTop; });
  // Escape first lets Tab leave the editor, for people who have only a keyboard.
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
    bad = new Set([...document.querySelectorAll("[data-bad-line]")].map((link) => Number(link.dataset.badLine)));
    editor.setAttribute("aria-invalid", String(bad.size > 0));
    number();
  });

  const example = document.querySelector("[data-example]");
  example?.addEventListener("change", async () => {
    if (!example.value) return;
    const answer = await fetch(`/dashboard/strategies/text?of=${encodeURIComponent(example.value)}`);
    if (!answer.ok) return;
    if (editor.value.trim() && !window.confirm("Replace the text in the editor?")) return;
    editor.value = await answer.text();
    editor.dispatchEvent(new Event("input", { bubbles: true }));
  });

  number();
})();
