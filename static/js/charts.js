// Draws chart specifications (json_script) with ECharts in the colours of the theme.
//
// <div class="chart" data-chart="ID-OF-JSON-SCRIPT"></div>; the JSON is
// {x: {type: value|time|category, name, categories}, zoom, lying, panes: [{name, format, log, share, series, marks, bands, levels}]}
// series: {name, type: line|bar|scatter, data: [[x, y]...] or y: [...] and scale over x.values, tone: 1..6|good|bad|muted, dashed, area, step, symbol}
// marks: [{x, name}] vertical lines, bands: [{from, to, name}] spans, levels: [{y, name}] horizontal lines.
"use strict";

(() => {
  const charts = new Map();
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  // light-dark() is resolved only in a real property, and each lookup recomputes the layout: cache the colours.
  const colours = new Map();
  function colour(name) {
    if (!colours.has(name)) {
      probe.style.color = `var(--${name})`;
      colours.set(name, getComputedStyle(probe).color);
    }
    return colours.get(name);
  }
  const tone = (value, index) => {
    if (typeof value === "string") return colour(value);
    return colour(`series-${((value ?? index + 1) - 1) % 6 + 1}`);
  };
  const faint = (rgb, alpha) => rgb.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);

  const MOST_CATEGORIES = 8; // whose labels are all shown
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const formats = {
    percent: (value) => `${(value * 100).toFixed(Math.abs(value) < 0.1 ? 1 : 0)} %`,
    tick: (value) => `${Number((value * 100).toPrecision(4))} %`, // of an axis of percentages: 0, 2.5, 5 %
    money: (value) => whole.format(value).replaceAll(",", "\u202f"),
    number: (value) => (Math.abs(value) >= 1000 ? formats.money(value) : String(Number(value.toPrecision(4)))),
  };
  const formatter = (format) => (value) => (
    typeof value === "number" ? formats[format || "number"](value).replace("-", "−") : value ?? "–"
  );
  const tickFormatter = (format) => formatter(format === "percent" ? "tick" : format);

  // Exponential smoothing with the bias correction of Adam (Kingma and Ba 2014).
  function smooth(data, weight) {
    let last = 0;
    let count = 0;
    return data.map(([x, y]) => {
      if (y === null) return [x, y];
      last = last * weight + (1 - weight) * y;
      count += 1;
      return [x, last / (1 - weight ** count)];
    });
  }

  function seriesOf(pane, index, settings) {
    const lines = [];
    pane.series.forEach((series, number) => {
      const paint = tone(series.tone, number);
      const type = series.type || "line";
      const base = {
        name: series.name, type, data: series.data, xAxisIndex: index, yAxisIndex: index,
        color: paint, animation: false, showSymbol: series.data.length === 1, symbolSize: type === "scatter" ? 11 : 4,
        lineStyle: { width: series.dashed ? 1.25 : 1.75, type: series.dashed ? "dashed" : "solid", color: paint },
        step: series.step || false, connectNulls: false,
      };
      if (type === "line" && series.data.length > 1500) base.sampling = "lttb";
      if (series.area) base.areaStyle = { color: faint(paint, 0.18) };
      if (type === "bar") {
        base.barMaxWidth = 28;
        base.data = series.data.map(([x, y]) => (y < 0 ? { value: [x, y], itemStyle: { color: colour("bad") } } : [x, y]));
      }
      if (series.symbol) Object.assign(base, { symbol: series.symbol, symbolRotate: series.rotate || 0 });
      if (settings.smooth > 0 && type === "line" && pane.smooth) {
        lines.push({ ...base, lineStyle: { width: 1, color: faint(paint, 0.3) }, tooltip: { show: false }, silent: true });
        lines.push({ ...base, data: smooth(series.data, settings.smooth) });
      } else {
        lines.push(base);
      }
    });
    const marks = [
      ...(pane.marks || []).map((mark) => ({ xAxis: mark.x, name: mark.name, label: { formatter: mark.name, color: colour("muted"), rotate: 0 } })),
      ...(pane.levels || []).map((level) => ({ yAxis: level.y, name: level.name, label: { formatter: level.name, color: colour("muted"), position: "insideEndTop" } })),
    ];
    if (marks.length && lines.length) {
      lines[0].markLine = { symbol: "none", silent: true, animation: false, lineStyle: { color: colour("line-strong"), type: "dashed" }, data: marks };
    }
    if (pane.bands?.length && lines.length) {
      lines[0].markArea = {
        silent: true, label: { color: colour("muted"), position: "insideTop" },
        data: pane.bands.map((band, number) => [
          { xAxis: band.from, name: settings.isNarrow ? band.name.split(" ").pop() : band.name, itemStyle: { color: faint(tone(band.tone, number), 0.12) } }, { xAxis: band.to }]),
      };
    }
    return lines;
  }

  // Long series are columns of integers (value * scale) over x.values.
  function joinColumns(spec) {
    for (const series of spec.panes.flatMap((pane) => pane.series)) {
      series.data ??= series.y.map((y, index) => [spec.x.values[index], y === null ? null : y / series.scale]);
    }
    return spec;
  }

  // The text alternative for screen readers; the values are in the table below the chart.
  function description(element, spec) {
    const title = element.closest("figure")?.querySelector("h2")?.textContent || "";
    return `Chart: ${title}. Series: ${namesOf(spec).join(", ")}. The values are in the table below.`;
  }

  const namesOf = (spec) => [...new Set(spec.panes.flatMap((pane) => pane.series.map((series) => series.name)))];
  const hasWholeNumbers = (pane) => pane.series.every((series) => series.data.every(([, y]) => Number.isInteger(y)));

  // The number of lines that a legend takes at the chart's width. With more than four, it is paged.
  const MOST_LEGEND_LINES = 4;
  const LEGEND_LINE = 20;
  function legendLines(names, width) {
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    let [lines, used] = [1, 0];
    for (const name of names) {
      const entry = 12 + 5 + pen.measureText(name).width + 10;
      if (used && used + entry > width) [lines, used] = [lines + 1, 0];
      used += entry;
    }
    return lines;
  }

  function option(spec, settings, { width, height: pixels }, label) {
    const muted = colour("muted");
    const line = colour("line");
    const total = spec.panes.reduce((sum, pane) => sum + (pane.share || 1), 0);
    const between = spec.panes.length > 1 ? 26 : 0;
    const bottom = (spec.zoom ? 34 : 14) + 20;
    const names = namesOf(spec);
    const hasLegend = names.length > 1;
    const lines = legendLines(names, width);
    const isPaged = lines > MOST_LEGEND_LINES;
    let top = (hasLegend ? 14 + LEGEND_LINE * (isPaged ? 1 : lines) : 14) + (between ? 14 : 0);
    const room = pixels - top - bottom - between * (spec.panes.length - 1);
    const grids = spec.panes.map((pane) => {
      const height = (room * (pane.share || 1)) / total;
      const grid = { left: 62, right: 18, top, height };
      top += height + between;
      return grid;
    });
    return {
      animation: false,
      aria: { enabled: true, label: { description: label } },
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: muted },
      legend: { show: hasLegend, type: isPaged ? "scroll" : "plain", top: 0, left: 0, padding: [4, 0], itemGap: 10, icon: "roundRect", itemWidth: 12, itemHeight: isPaged ? 12 : 4, textStyle: { color: muted }, pageIconColor: muted, pageTextStyle: { color: muted } },
      tooltip: {
        renderMode: "richText", trigger: spec.panes.some((pane) => pane.series.some((series) => series.type !== "scatter")) ? "axis" : "item", confine: true,
        backgroundColor: colour("raised"), borderColor: colour("line-strong"), textStyle: { color: colour("text"), fontSize: 12 },
        axisPointer: { type: "line", lineStyle: { color: colour("line-strong") } },
      },
      axisPointer: { link: [{ xAxisIndex: "all" }] },
      grid: grids,
      xAxis: spec.panes.map((pane, index) => ({
        type: spec.x.type, gridIndex: index, data: spec.x.categories, scale: true, boundaryGap: spec.x.type === "category",
        min: spec.x.type === "time" ? "dataMin" : undefined, max: spec.x.type === "time" ? "dataMax" : undefined,
        name: index === spec.panes.length - 1 && !spec.zoom ? spec.x.name : "", nameLocation: "middle", nameGap: 22, nameTextStyle: { color: muted },
        axisLabel: { show: index === spec.panes.length - 1, color: muted, hideOverlap: true, ...labelsOf(spec.x, width) },
        axisLine: { lineStyle: { color: line } }, axisTick: { show: false }, splitLine: { show: false },
      })),
      yAxis: spec.panes.map((pane, index) => ({
        type: settings.log && pane.log ? "log" : "value", gridIndex: index, scale: !pane.zero, name: spec.panes.length > 1 ? pane.name : "",
        nameTextStyle: { color: muted, align: "left" }, nameGap: 6, splitNumber: spec.panes.length > 1 ? 3 : 5,
        minInterval: hasWholeNumbers(pane) ? 1 : 0, axisLabel: { color: muted, formatter: tickFormatter(pane.format), hideOverlap: true },
        splitLine: { lineStyle: { color: line, width: 0.7 } }, axisLine: { show: false },
      })),
      dataZoom: spec.zoom ? [
        { type: "inside", xAxisIndex: "all", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false },
        { type: "slider", xAxisIndex: "all", bottom: 4, height: 18, borderColor: line, textStyle: { color: muted }, brushSelect: false, showDataShadow: false },
      ] : [],
      series: spec.panes.flatMap((pane, index) => seriesOf(pane, index, settings).map((series) => ({ ...series, tooltip: { ...series.tooltip, valueFormatter: formatter(pane.format) } }))),
    };
  }

  // Show every label of a few categories and cut long ones; of many categories, ECharts leaves labels out.
  function labelsOf(x, width) {
    if (x.type === "value") return { formatter: formatter("number") };
    const count = x.categories?.length ?? Infinity;
    return count > MOST_CATEGORIES ? {} : { interval: 0, hideOverlap: false, width: (width - 80) / count - 4, overflow: "truncate" };
  }

  // Horizontal bars, the first on top, which leave room for long names.
  function layHorizontally(option) {
    const [names, values] = [option.xAxis[0], option.yAxis[0]];
    option.xAxis = [{ ...values, name: "" }];
    option.yAxis = [{ ...names, name: "", inverse: true, axisLabel: { color: colour("muted"), width: 170, overflow: "truncate" } }];
    option.grid[0] = { ...option.grid[0], left: 4, containLabel: true };
    for (const series of option.series) {
      series.data = series.data.map((bar) => (Array.isArray(bar) ? bar[1] : { ...bar, value: bar.value[1] }));
    }
    return option;
  }

  function settingsOf(element) {
    const figure = element.closest("figure");
    return {
      isNarrow: element.clientWidth < 500,
      log: figure?.querySelector("[data-log]")?.checked || false,
      smooth: Number(figure?.querySelector("[data-smooth]")?.value || 0),
    };
  }

  // The observer also fires once at the start, without a change.
  function resize(element) {
    const chart = charts.get(element);
    if (chart && (chart.getWidth() !== element.clientWidth || chart.getHeight() !== element.clientHeight)) chart.resize();
  }

  function draw(element) {
    const source = document.getElementById(element.dataset.chart);
    if (!source) return;
    let chart = charts.get(element);
    if (!chart) {
      chart = echarts.init(element, null, { renderer: "canvas" });
      charts.set(element, chart);
      new ResizeObserver(() => resize(element)).observe(element);
    }
    const zoom = chart.getOption()?.dataZoom;
    const spec = joinColumns(JSON.parse(source.textContent));
    const vertical = option(spec, settingsOf(element), { width: element.clientWidth, height: element.clientHeight }, description(element, spec));
    const options = spec.lying ? layHorizontally(vertical) : vertical;
    if (zoom?.length) options.dataZoom.forEach((part, index) => { part.start = zoom[index].start; part.end = zoom[index].end; });
    chart.setOption(options, { notMerge: true });
    element.dataset.drawn = "yes";
  }

  // Charts out of view are drawn when they come near, so a page with many charts is usable at once.
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "300px" });
  const observe = () => {
    for (const element of document.querySelectorAll("[data-chart]:not([data-drawn])")) near.observe(element);
  };

  const redraw = () => {
    colours.clear();
    for (const element of charts.keys()) draw(element);
  };

  // Print does not scroll and does not wait for the next frame: draw every chart now, in the colours of paper.
  let themeOfScreen;
  addEventListener("beforeprint", () => {
    themeOfScreen = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    for (const element of document.querySelectorAll("[data-chart]:not([data-drawn])")) draw(element);
    redraw();
    for (const chart of charts.values()) chart.getZr().flush();
  });
  addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = themeOfScreen;
    redraw();
  });
  document.addEventListener("theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-log], [data-smooth]")) return;
    for (const element of event.target.closest("figure").querySelectorAll("[data-chart]")) draw(element);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    for (const [element, chart] of charts) {
      if (!element.isConnected) {
        chart.dispose();
        charts.delete(element);
      } else if (event.target.querySelector?.("script[type='application/json']")) {
        draw(element);
      }
    }
    observe();
  });

  observe();
})();
