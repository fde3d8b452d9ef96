// Completion and hover help of the strategy editor, from the catalog of the API.
"use strict";

(() => {
  const { placeAt, namesBelow, keysOf, typeOf } = window.StrategyPlace;
  const CONDITIONS = new Set(["long", "short", "exit_long", "exit_short", "expression"]);
  let request = null;
  const load = () => (request ??= fetch("/strategies/catalog", { headers: { Accept: "application/json" } })
    .then((response) => (response.ok ? response.json() : null)).catch(() => null));

  const option = (label, type, detail = "", info = "", apply = label) => ({ label, type, detail, info: info || undefined, apply });

  const indicatorOf = (catalog, type) => catalog.indicators.find((entry) => entry.name === type || entry.aliases.includes(type));
  const bounds = (parameter) => {
    if (parameter.choices.length) return parameter.choices.join(", ");
    return parameter.minimum === null ? parameter.kind : `${parameter.minimum} to ${parameter.maximum}`;
  };
  const signature = (entry) => entry.parameters.map((parameter) => `${parameter.name} = ${parameter.default} (${bounds(parameter)})`).join("\n");

  const matches = (place, path) => {
    const parts = place ? place.split(".") : [];
    return parts.length === path.length && parts.every((part, index) => part === "NAME" || part === path[index]);
  };

  // The sections at a place; those of a variant (`type: mlp`) only if the keys beside it allow the variant.
  function sectionsAt(catalog, place, isRules) {
    return catalog.sections.filter((section) => {
      if (!matches(section.place, place.path)) return false;
      if (section.kinds.includes("model.type: rules") !== isRules && section.kinds.includes("model.type: rules")) return false;
      const named = section.kinds.map((kind) => kind.split(": ")).filter(([key]) => place.beside[key]);
      return !named.length || named.some(([key, value]) => place.beside[key] === value);
    });
  }

  function keyOptions(catalog, doc, place, isRules) {
    const [section] = place.path;
    if (section === "indicators" && place.path.length === 2) {
      const entry = indicatorOf(catalog, place.beside.type);
      return [
        option("type", "property", "", "The indicator.", "type: "),
        ...(entry?.parameters ?? []).map((parameter) => option(parameter.name, "property", `= ${parameter.default}`, bounds(parameter), `${parameter.name}: `)),
      ];
    }
    const keys = new Map();
    for (const found of sectionsAt(catalog, place, isRules)) for (const key of found.keys) keys.set(key.name, key);
    return [...keys.values()].filter((key) => !(key.name in place.beside))
      .map((key) => option(key.name, "property", key.required ? "required" : "", key.meaning, `${key.name}: `));
  }

  function ownNames(catalog, doc) {
    const names = [];
    for (const { name, line } of namesBelow(doc, "indicators")) {
      const entry = indicatorOf(catalog, typeOf(doc, line));
      names.push(option(name, "variable", entry?.name ?? "", entry?.title));
      const outputs = entry?.outputs ?? [];
      if (outputs.length > 1) names.push(...outputs.map((output) => option(`${name}.${output.name}`, "variable", entry.name)));
    }
    return names;
  }

  function expressionOptions(catalog, doc) {
    const members = namesBelow(doc, "fuzzy_sets").flatMap(({ name, line }) =>
      keysOf(doc, line).filter((key) => !["indicator", "type", "parameters"].includes(key)).map((key) => option(`${name}.${key}`, "variable", "degree, 0 to 1")));
    return [
      ...catalog.functions.map((entry) => option(entry.name, "function", entry.signature, entry.meaning, `${entry.name}(`)),
      ...catalog.sources.map((name) => option(name, "constant", "of the bar")),
      ...ownNames(catalog, doc), ...members,
      ...namesBelow(doc, "constants").map(({ name }) => option(name, "constant", "constant")),
      ...["and", "or", "not"].map((word) => option(word, "keyword")),
    ];
  }

  function valueOptions(catalog, doc, place, isRules) {
    const [section] = place.path;
    const { key } = place;
    if (CONDITIONS.has(key)) return expressionOptions(catalog, doc);
    if (section === "indicators" && key === "type") return catalog.indicators.map((entry) => option(entry.name, "type", entry.title, signature(entry)));
    if (section === "indicators") {
      const parameter = indicatorOf(catalog, place.beside.type)?.parameters.find(({ name, aliases }) => name === key || aliases.includes(key));
      return (parameter?.choices ?? []).map((choice) => option(choice, "enum"));
    }
    if (["indicator", "raw_indicator"].includes(key)) return [...ownNames(catalog, doc), ...catalog.sources.map((name) => option(name, "constant", "of the bar"))];
    if (key === "fuzzy_set") return namesBelow(doc, "fuzzy_sets").map(({ name }) => option(name, "variable"));
    if (section === "fuzzy_sets" && key === "type") return catalog.memberships.map((entry) => option(entry.name, "type", entry.parameters.join(", "), entry.rule));
    const isTimeframe = ["timeframe", "timeframes", "base_timeframe"].includes(key) || (key === "list" && place.path.at(-1) === "timeframes");
    if (isTimeframe) return [...catalog.timeframes, ...(key === "timeframes" ? ["all"] : [])].map((name) => option(name, "enum"));
    // A key that selects a variant has a value in each of them.
    const all = sectionsAt(catalog, { ...place, beside: {} }, isRules);
    const choices = all.flatMap((found) => found.keys.find(({ name }) => name === key)?.choices ?? []);
    return [...new Set(choices)].map((choice) => option(choice, "enum"));
  }

  const isRulesFile = (doc) => /^model:\s*(\{\s*)?(\n\s+)?type:\s*rules/m.test(doc.toString());

  async function complete(context) {
    const word = context.matchBefore(/[\w.@]*/);
    if (!context.explicit && word.from === word.to) return null;
    const line = context.state.doc.lineAt(context.pos);
    if (/(^|\s)#/.test(line.text.slice(0, context.pos - line.from))) return null;
    const catalog = await load();
    if (!catalog) return null;
    const { doc } = context.state;
    const place = placeAt(doc, context.pos);
    const isRules = isRulesFile(doc);
    const options = place.key === null ? keyOptions(catalog, doc, place, isRules) : valueOptions(catalog, doc, place, isRules);
    return { from: word.from, options, validFor: /^[\w.@]*$/ };
  }

  function explain(catalog, doc, place, word) {
    const called = catalog.functions.find(({ name }) => name === word);
    if (called && CONDITIONS.has(place.key)) return [called.signature, called.meaning];
    const entry = indicatorOf(catalog, word);
    if (entry && place.key === "type") return [entry.title, signature(entry)];
    const own = ownNames(catalog, doc).find(({ label }) => label === word);
    if (own && place.key !== null) return [`${word}: ${own.detail}`, own.info ?? ""];
    if (place.path[0] === "indicators" && place.path.length === 2) {
      const parameter = indicatorOf(catalog, place.beside.type)?.parameters.find(({ name, aliases }) => name === word || aliases.includes(word));
      if (parameter) return [`${parameter.name} = ${parameter.default}`, bounds(parameter)];
    }
    const at = sectionsAt(catalog, place, isRulesFile(doc)).flatMap((section) => section.keys).find(({ name }) => name === word);
    return at ? [`${at.name}${at.required ? ", required" : ""}`, [at.meaning, at.choices.join(", ")].filter(Boolean).join("\n")] : null;
  }

  async function hover(view, position) {
    const line = view.state.doc.lineAt(position);
    const at = position - line.from;
    const start = line.text.slice(0, at).search(/[\w.]*$/);
    const word = line.text.slice(start).match(/^[\w.]+/)?.[0];
    const catalog = word && (await load());
    if (!catalog) return null;
    const lines = explain(catalog, view.state.doc, placeAt(view.state.doc, line.from + start + word.length + 1 > line.to ? line.to : position), word)
      ?? explain(catalog, view.state.doc, placeAt(view.state.doc, line.from + start), word);
    if (!lines) return null;
    return {
      pos: line.from + start,
      end: line.from + start + word.length,
      above: true,
      create() {
        const dom = document.createElement("div");
        for (const [index, text] of lines.entries()) {
          const part = document.createElement(index ? "pre" : "strong");
          part.textContent = text;
          if (text) dom.append(part);
        }
        return { dom };
      },
    };
  }

  window.StrategyWords = { complete, hover };
})();
