// Puts the strategy editor in place of a text box, which keeps the text for the form, drafts and pages without script.
"use strict";

(() => {
  const box = document.querySelector("[data-editor]");
  if (!box) return;
  const { EditorView, EditorState, keymap, lineNumbers, highlightActiveLine, drawSelection, history, historyKeymap, defaultKeymap, indentMore, indentLess, indentUnit, autocompletion, completionKeymap, acceptCompletion, lintGutter, setDiagnostics, lintKeymap, searchKeymap, hoverTooltip, yaml, Prec } = window.CodeMirror;
  const host = document.createElement("div");
  host.className = "editor-host";
  const label = document.querySelector(`label[for="${box.id}"]`);
  const help = document.querySelector("[data-editor-help]");
  let isOurs = false;
  // After Escape, Tab leaves the editor, for keyboard users.
  let isLeaving = false;
  const unlessLeaving = (command) => (view) => !isLeaving && command(view);

  function toBox(update) {
    if (!update.docChanged || isOurs) return;
    isOurs = true;
    box.value = update.state.doc.toString();
    box.dispatchEvent(new Event("input", { bubbles: true }));
    isOurs = false;
  }

  const view = new EditorView({
    parent: host.attachShadow({ mode: "open" }),
    root: host.shadowRoot,
    state: EditorState.create({
      doc: box.value,
      extensions: [
        lineNumbers(), highlightActiveLine(), drawSelection(), history(), yaml(), indentUnit.of("  "), lintGutter(),
        EditorState.tabSize.of(2), window.StrategyLook,
        autocompletion({ override: [window.StrategyWords.complete], icons: false }),
        hoverTooltip(window.StrategyWords.hover),
        Prec.high(keymap.of([
          { key: "Tab", run: unlessLeaving(acceptCompletion) },
          { key: "Tab", run: unlessLeaving(indentMore), shift: unlessLeaving(indentLess) },
        ])),
        keymap.of([...completionKeymap, ...lintKeymap, ...searchKeymap, ...historyKeymap, ...defaultKeymap]),
        EditorView.contentAttributes.of({
          "aria-label": [label?.firstChild.textContent.trim() || "Strategy", help?.textContent.trim()].filter(Boolean).join(". "),
          spellcheck: "false", autocapitalize: "off", tabindex: "0",
        }),
        EditorView.domEventHandlers({
          keydown(event) {
            if (event.key !== "Tab" && event.key !== "Shift") isLeaving = event.key === "Escape";
          },
          blur() {
            isLeaving = false;
          },
          // Chromium gives text that replaces a coloured selection an inline style, which the content policy refuses.
          beforeinput(event, view) {
            if (event.inputType !== "insertText" || !event.data || view.composing) return;
            if (view.state.selection.main.empty) return;
            event.preventDefault();
            view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
          },
        }),
        EditorView.updateListener.of(toBox),
      ],
    }),
  });
  box.closest(".editor").replaceWith(host);
  host.append(box);
  box.hidden = true;
  if (help) help.hidden = false;
  label?.addEventListener("click", () => view.focus());

  // Drafts, examples and other scripts write into the box.
  box.addEventListener("input", () => {
    if (isOurs || box.value === view.state.doc.toString()) return;
    isOurs = true;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: box.value } });
    isOurs = false;
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest(`[data-goto], a[href="#${box.id}"]`);
    if (!link) return;
    event.preventDefault();
    const line = view.state.doc.line(Math.min(Math.max(Number(link.dataset.goto) || 1, 1), view.state.doc.lines));
    view.dispatch({ selection: { anchor: line.from, head: line.to }, effects: EditorView.scrollIntoView(line.from, { y: "center" }) });
    view.focus();
  });

  function mark() {
    const { doc } = view.state;
    const found = [...document.querySelectorAll("[data-bad-line]")].map((link) => {
      const line = doc.line(Math.min(Math.max(Number(link.dataset.badLine) || 1, 1), doc.lines));
      return { from: line.from + line.text.search(/\S|$/), to: line.to, severity: "error", message: link.dataset.message };
    });
    view.dispatch(setDiagnostics(view.state, found));
    host.toggleAttribute("data-invalid", found.length > 0);
  }
  document.addEventListener("htmx:afterSwap", mark);
  mark();

  const example = document.querySelector("[data-example]");
  example?.addEventListener("change", async () => {
    if (!example.value) return;
    const response = await fetch(`/dashboard/strategies/text?of=${encodeURIComponent(example.value)}`);
    if (!response.ok) return;
    if (box.value.trim() && !window.confirm("Replace the text in the editor?")) return;
    box.value = await response.text();
    box.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
