// Where the cursor is in a strategy file: the keys above it, the key of a value, and the keys beside it.
"use strict";

(() => {
  const KEY = /^([\w.@-]+)\s*:(\s|$)/;
  const isBlank = (text) => !text.trim() || text.trim().startsWith("#");

  // "  - key: value" -> indent 4, "key: value"
  function read(text) {
    const lead = text.match(/^(\s*)((?:- +)*)/);
    return { indent: lead[0].length, text: text.slice(lead[0].length) };
  }

  // The parts of `{a: 1, b: {c: 2` at the innermost open brace, and the keys of the braces around it.
  function readFlow(text) {
    const keys = [];
    const pending = [[]];
    let part = "";
    for (const char of text) {
      if (char === "{" || char === "[") {
        keys.push(part.match(/([\w.@-]+)\s*:\s*$/)?.[1] ?? "");
        pending.push([]);
        part = "";
      } else if (char === "}" || char === "]") {
        keys.pop();
        pending.pop();
        part = "";
      } else if (char === ",") {
        pending.at(-1)?.push(part);
        part = "";
      } else part += char;
    }
    return { keys: keys.filter(Boolean), parts: pending.at(-1) ?? [], part, isOpen: keys.length > 0 };
  }

  const pairsOf = (parts) => Object.fromEntries(parts.map((part) => part.split(/:\s*/).map((side) => side.trim())).filter((pair) => pair.length > 1));

  // Keys and plain values on the lines beside line `number`, in its block.
  function siblings(doc, number, indent) {
    const found = {};
    for (const step of [-1, 1]) {
      for (let at = number + step; at >= 1 && at <= doc.lines; at += step) {
        const raw = doc.line(at).text;
        if (isBlank(raw)) continue;
        const line = read(raw);
        if (line.indent < indent) break;
        const key = line.indent === indent && line.text.match(/^([\w.@-]+)\s*:\s*(.*?)\s*(?:#.*)?$/);
        if (key) found[key[1]] = key[2];
        if (step < 0 && line.indent === indent && raw.trimStart().startsWith("- ")) break;
      }
    }
    return found;
  }

  function parents(doc, number, indent) {
    const path = [];
    let limit = indent;
    for (let at = number - 1; at >= 1 && limit > 0; at -= 1) {
      const raw = doc.line(at).text;
      if (isBlank(raw)) continue;
      const line = read(raw);
      const key = line.text.match(KEY);
      const start = raw.length - raw.trimStart().length;
      if (key && line.indent < limit && start < limit) {
        path.unshift(key[1]);
        limit = start;
      }
    }
    return path;
  }

  // { path, key, beside }: `key` is null where a key is written.
  function placeAt(doc, position) {
    const line = doc.lineAt(position);
    const before = read(line.text.slice(0, position - line.from));
    const path = parents(doc, line.number, before.indent);
    const own = before.text.match(KEY);
    const flow = readFlow(own ? before.text.slice(own[0].length) : before.text);
    if (flow.isOpen) {
      const key = flow.part.match(/^\s*([\w.@-]+)\s*:/)?.[1] ?? null;
      return { path: [...path, ...(own ? [own[1]] : []), ...flow.keys], key, beside: pairsOf(flow.parts) };
    }
    if (own) return { path, key: own[1], beside: siblings(doc, line.number, before.indent) };
    return { path, key: null, beside: siblings(doc, line.number, before.indent) };
  }

  // The names that the file defines below a key of its top level.
  function namesBelow(doc, section) {
    const names = [];
    let isInside = false;
    let depth = 0;
    for (let at = 1; at <= doc.lines; at += 1) {
      const raw = doc.line(at).text;
      if (isBlank(raw)) continue;
      const line = read(raw);
      const key = line.text.match(KEY);
      if (line.indent === 0) {
        isInside = key?.[1] === section;
        depth = 0;
      } else if (isInside && key) {
        depth ||= line.indent;
        if (line.indent === depth) names.push({ name: key[1], line: at, text: line.text });
      }
    }
    return names;
  }

  // The keys below the definition that starts at line `number`, in block or flow form.
  function keysOf(doc, number) {
    const first = read(doc.line(number).text);
    const flow = first.text.match(/\{(.*)/)?.[1];
    if (flow) return [...flow.matchAll(/([\w.@-]+)\s*:/g)].map((match) => match[1]);
    const keys = [];
    for (let at = number + 1; at <= doc.lines; at += 1) {
      const raw = doc.line(at).text;
      if (isBlank(raw)) continue;
      const line = read(raw);
      if (line.indent <= first.indent) break;
      const key = line.text.match(KEY);
      if (key) keys.push(key[1]);
    }
    return keys;
  }

  function typeOf(doc, number) {
    const text = doc.line(number).text;
    const inline = text.match(/type:\s*(\w+)/);
    if (inline) return inline[1];
    return number < doc.lines ? siblings(doc, number + 1, read(doc.line(number + 1).text).indent).type ?? doc.line(number + 1).text.match(/type:\s*(\w+)/)?.[1] : undefined;
  }

  window.StrategyPlace = { placeAt, namesBelow, keysOf, typeOf };
})();
