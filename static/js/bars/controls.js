// Buttons, keys and the spoken state of a chart of bars; starts the charts of a page.
//
// <figure data-bars="ID-OF-JSON-SCRIPT"> with [data-plot] (focusable) around [data-canvas], and [data-bars-state].
"use strict";

(() => {
  const { BarChart, dateText, isNarrow, numberText, percentText, priceText } = barCharts;
  const FIRST_BARS = 250;
  const FIRST_WIDTH = 5; // pixels of a bar, on a narrow screen
  const AROUND = 40;

  const actions = {
    earlier: (chart) => chart.pan(-0.5),
    later: (chart) => chart.pan(0.5),
    closer: (chart) => chart.zoom(0.5),
    wider: (chart) => chart.zoom(2),
    all: (chart) => chart.showAll(),
    latest: (chart) => showLatest(chart),
    start: (chart) => chart.moveTo(0, chart.span),
    end: (chart) => chart.moveTo(chart.rowsOf(chart.level) - chart.span, chart.rowsOf(chart.level)),
    previousBar: (chart) => moveCursor(chart, -1),
    nextBar: (chart) => moveCursor(chart, 1),
  };
  const keys = {
    ArrowLeft: "previousBar", ArrowRight: "nextBar", PageUp: "earlier", PageDown: "later", "+": "closer", "=": "closer",
    ArrowUp: "closer", "-": "wider", ArrowDown: "wider", Home: "start", End: "end", 0: "all",
  };

  const showLatest = (chart) => chart.showLatest(Math.min(FIRST_BARS, Math.round(chart.width() / FIRST_WIDTH)));

  function moveCursor(chart, step) {
    const seen = chart.cursor >= chart.view.from - 1 && chart.cursor <= chart.view.to;
    return chart.setCursor(seen ? chart.cursor + step : Math.floor((chart.view.from + chart.view.to) / 2));
  }

  const rangeText = (chart) => {
    const last = chart.rowsOf(chart.level) - 1;
    const [from, to] = [Math.max(Math.ceil(chart.view.from), 0), Math.min(Math.floor(chart.view.to), last)];
    const day = (row) => dateText(chart.timeAt(row), chart.isIntraday);
    return `${chart.timeframe} bars, ${day(from)} to ${day(to)}, ${numberText(Math.max(to - from + 1, 0))} of ${numberText(last + 1)}`;
  };

  function barText(chart, row) {
    const { times, columns } = chart.block;
    const price = (name) => priceText(columns[name][row], chart.spec.decimals);
    const change = row > 0 ? `, ${percentText(columns.close[row] / columns.close[row - 1] - 1)}` : "";
    const volume = columns.volume && chart.spec.has_volume ? `, volume ${numberText(columns.volume[row])}` : "";
    return `${dateText(times[row], chart.isIntraday)}: open ${price("open")}, high ${price("high")}, low ${price("low")}, `
      + `close ${price("close")}${change}${volume}${linesText(chart, row)}`;
  }

  const shownPanes = ({ spec }, group) => [...(spec.panes ?? []), ...(group ? [group] : [])];
  const linesText = (chart, row) => shownPanes(chart, chart.series.group).flatMap((pane) => pane.series.map((line) => {
    const value = chart.block.columns[line.column][row];
    if (Number.isNaN(value)) return "";
    return `, ${line.label} ${pane.format === "percent" ? `${(value * 100).toFixed(1)} %` : numberText(value)}`;
  })).join("");

  function listLines(figure, chart) {
    figure.querySelector("[data-bars-lines]").replaceChildren(...chart.series.lines.map(({ label, tone }) => {
      const entry = document.createElement("li");
      entry.textContent = label;
      entry.style.setProperty("--tone", `var(--${tone})`);
      return entry;
    }));
  }

  function connect(figure, chart) {
    const plot = figure.querySelector("[data-plot]");
    const [range, bar] = [figure.querySelector("[data-bars-range]"), figure.querySelector("[data-bars-bar]")];
    const setText = (element, text) => { if (element.textContent !== text) element.textContent = text; };
    chart.onError = (error) => setText(range, `Could not load the bars: ${error.message}. Pan again to retry.`);
    const act = (name) => chart.block && Promise.resolve(actions[name](chart)).catch(chart.onError);
    chart.listeners.push(() => setText(range, rangeText(chart)));
    chart.onCursor = (row) => setText(bar, row >= 0 && row < chart.block.count ? barText(chart, row) : "");
    chart.library.subscribeCrosshairMove(({ logical, sourceEvent }) => {
      if (sourceEvent) chart.onCursor(Math.round(logical ?? -1));
    });
    plot.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const name = event.shiftKey && event.key === "ArrowLeft" ? "earlier"
        : event.shiftKey && event.key === "ArrowRight" ? "later" : keys[event.key];
      if (!name) return;
      event.preventDefault();
      act(name);
    });
    // The page scrolls over the chart; Ctrl and the wheel, or a pinch, zooms.
    plot.addEventListener("wheel", (event) => {
      const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (!chart.block || (!event.ctrlKey && !isSideways)) return;
      event.preventDefault();
      const moved = isSideways ? chart.pan(event.deltaX / 1000) : chart.zoom(event.deltaY > 0 ? 1.25 : 0.8);
      moved?.catch(chart.onError);
    }, { passive: false });
    figure.addEventListener("click", (event) => {
      const button = event.target.closest("[data-bars-do]");
      if (button) act(button.dataset.barsDo);
    });
    const lines = figure.querySelector("[data-line-group]");
    const showLines = () => {
      chart.series.showLines(chart.spec.line_groups[lines.value]);
      listLines(figure, chart);
    };
    lines?.addEventListener("change", showLines);
    if (lines?.value) showLines();
    else listLines(figure, chart);
    const choice = figure.querySelector("[data-resolution]");
    choice?.addEventListener("change", () => chart.block && chart.choose(choice.value === "" ? null : Number(choice.value)).catch(chart.onError));
  }

  // A link to a time shows it in the chart of the page.
  function showTime(figure, chart, seconds) {
    figure.scrollIntoView({ block: "start" });
    figure.querySelector("[data-plot]").focus({ preventScroll: true });
    return chart.showPeriod(seconds, seconds, AROUND).then(async () => chart.setCursor(await chart.file.rowAt(chart.level, seconds)));
  }

  async function start(figure) {
    const spec = JSON.parse(document.getElementById(figure.dataset.bars).textContent);
    for (const tools of figure.querySelectorAll("[data-bars-tools]")) tools.hidden = false;
    const chart = new BarChart(figure.querySelector("[data-canvas]"), spec);
    connect(figure, chart);
    figure.barChart = chart;
    const repaint = () => chart.repaint();
    document.addEventListener("theme", repaint);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    isNarrow.addEventListener("change", repaint);
    document.addEventListener("click", (event) => {
      const link = event.target.closest("[data-at]");
      if (!link || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      showTime(figure, chart, Number(link.dataset.at)).catch(chart.onError);
    });
    const at = Number(new URLSearchParams(location.search).get("at"));
    await (spec.shows_all ? chart.showAll() : showLatest(chart));
    if (at) await showTime(figure, chart, at);
    await barCharts.onStart?.(figure, chart, spec);
    figure.dataset.drawn = "yes";
  }

  async function startAll() {
    for (const figure of document.querySelectorAll("[data-bars]:not([data-drawn])")) {
      try {
        await start(figure);
      } catch (error) {
        figure.querySelector("[data-bars-range]").textContent = `The chart could not be drawn: ${error.message}. Reload the page.`;
        throw error;
      }
    }
  }
  document.addEventListener("DOMContentLoaded", startAll);
})();
