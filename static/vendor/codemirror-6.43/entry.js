// The parts of CodeMirror 6 that static/js/editor uses.
export { EditorState, Compartment, Prec, RangeSetBuilder } from "@codemirror/state";
export { EditorView, Decoration, ViewPlugin, hoverTooltip, keymap, lineNumbers, highlightActiveLine, drawSelection } from "@codemirror/view";
export { defaultKeymap, history, historyKeymap, indentMore, indentLess } from "@codemirror/commands";
export { HighlightStyle, syntaxHighlighting, syntaxTree, indentUnit } from "@codemirror/language";
export { autocompletion, completionKeymap, startCompletion, acceptCompletion } from "@codemirror/autocomplete";
export { lintGutter, setDiagnostics, lintKeymap } from "@codemirror/lint";
export { searchKeymap, highlightSelectionMatches } from "@codemirror/search";
export { yaml } from "@codemirror/lang-yaml";
export { tags } from "@lezer/highlight";
