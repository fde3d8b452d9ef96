// The look of the strategy editor: colours of the theme, YAML, and the words of expressions.
"use strict";

(() => {
  const { EditorView, HighlightStyle, syntaxHighlighting, tags, ViewPlugin, Decoration, RangeSetBuilder } = window.CodeMirror;

  // Custom properties reach into the shadow root, so the colours follow the theme.
  const theme = EditorView.theme({
    "&": { height: "30rem", color: "var(--text)", backgroundColor: "var(--surface)", fontSize: "var(--text-s)" },
    "&.cm-focused": { outline: "none" },
    ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", overflow: "auto" },
    ".cm-content": { caretColor: "var(--text)", padding: "0.6rem 0" },
    ".cm-cursor": { borderLeftColor: "var(--text)" },
    ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--muted)", border: "0" },
    ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--accent-soft)" },
    "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--accent) 30%, transparent)" },
    ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--line-strong)", borderRadius: "var(--radius-s)", padding: "0.3rem 0.5rem", maxWidth: "min(28rem, 90vw)" },
    ".cm-tooltip pre": { margin: "0.2rem 0 0", whiteSpace: "pre-wrap", fontFamily: "inherit" },
    ".cm-tooltip.cm-tooltip-autocomplete": { padding: "0" },
    ".cm-tooltip-autocomplete ul": { fontFamily: "var(--mono)" },
    ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--surface)" },
    ".cm-completionDetail": { color: "inherit", fontStyle: "normal" },
    ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--text)" },
    ".cm-diagnostic": { padding: "0.2rem 0.5rem", borderLeft: "4px solid var(--bad)" },
    ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)" },
    ".cm-lint-marker-error": { content: "none", backgroundColor: "var(--bad)", borderRadius: "50%", width: "0.7rem", height: "0.7rem", margin: "0.25rem 0 0 0.15rem" },
    ".expr-function": { color: "var(--series-4, var(--accent))" },
    ".expr-word": { color: "var(--accent)", fontWeight: "600" },
    ".expr-number": { color: "var(--bad)" },
    ".expr-field": { color: "var(--series-2)" },
  });

  const colours = syntaxHighlighting(HighlightStyle.define([
    { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--series-1)" },
    { tag: [tags.comment, tags.lineComment], color: "var(--muted)", fontStyle: "italic" },
    { tag: [tags.string, tags.content], color: "var(--good)" },
    { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: "var(--muted)" },
  ]));

  const EXPRESSION = /^(\s*(?:- )?(?:.*[{,]\s*)?(?:long|short|exit_long|exit_short|expression):)(.*)$/;
  const WORDS = /\b(and|or|not)\b|\b(open|high|low|close|volume|hl2|hlc3|ohlc4)\b|\b([a-z_]+)(?=\()|\b\d+(?:\.\d+)?\b/g;
  const marks = ["expr-word", "expr-field", "expr-function", "expr-number"].map((name) => Decoration.mark({ class: name }));

  function decorate(view) {
    const builder = new RangeSetBuilder();
    for (const { from, to } of view.visibleRanges) {
      for (let at = from; at <= to; ) {
        const line = view.state.doc.lineAt(at);
        const found = line.text.match(EXPRESSION);
        const text = found?.[2].split(/\s#/)[0] ?? "";
        for (const word of text.matchAll(WORDS)) {
          const kind = word[1] ? 0 : word[2] ? 1 : word[3] ? 2 : 3;
          const start = line.from + found[1].length + word.index;
          builder.add(start, start + word[0].length, marks[kind]);
        }
        at = line.to + 1;
      }
    }
    return builder.finish();
  }

  const expressions = ViewPlugin.fromClass(class {
    constructor(view) {
      this.decorations = decorate(view);
    }

    update(update) {
      if (update.docChanged || update.viewportChanged) this.decorations = decorate(update.view);
    }
  }, { decorations: (plugin) => plugin.decorations });

  window.StrategyLook = [theme, colours, expressions];
})();
