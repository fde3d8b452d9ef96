// The series of a chart in Lightweight Charts, filled from a block of bars.
"use strict";

(() => {
  const { colour, faint, isNarrow } = barCharts;
  const TONES = ["series-1", "series-2", "series-4", "series-6"];

  // Rising candles are hollow and falling ones filled, so that they differ without colours.
  const candleOptions = (colours, decimals) => ({
    upColor: colours.surface, downColor: colours.bad, borderUpColor: colours.good, borderDownColor: colours.bad,
    wickUpColor: colours.good, wickDownColor: colours.bad, borderVisible: true, priceLineVisible: false,
    priceFormat: { type: "price", precision: decimals, minMove: 10 ** -decimals },
  });

  const chartOptions = (colours) => ({
    layout: {
      background: { type: "solid", color: colours.surface }, textColor: colours.muted, attributionLogo: false,
      fontFamily: getComputedStyle(document.body).fontFamily, panes: { separatorColor: colours.line, enableResize: true },
    },
    grid: { vertLines: { visible: false }, horzLines: { color: colours.line } },
    rightPriceScale: { borderColor: colours.line }, crosshair: { mode: 0 },
    timeScale: { borderColor: colours.line, minBarSpacing: 0.1, rightOffset: 0, shiftVisibleRangeOnNewBar: false },
    handleScroll: { mouseWheel: false, vertTouchDrag: false }, handleScale: { mouseWheel: false, axisPressedMouseMove: { time: true, price: true } },
  });

  const formats = {
    plain: { type: "custom", minMove: 0.000001, formatter: (value) => barCharts.numberText(Number(value.toPrecision(5))) },
    percent: { type: "custom", minMove: 0.001, formatter: (value) => `${(value * 100).toFixed(1)} %` },
    money: { type: "custom", minMove: 1, formatter: (value) => barCharts.numberText(Math.round(value)) },
    return: { type: "custom", minMove: 0.000001, formatter: (value) => `${(value * 100).toFixed(3)} %` },
  };

  // Points of one column; bars without a value are left empty.
  function points(block, values, point) {
    const data = new Array(block.count);
    for (let row = 0; row < block.count; row += 1) {
      data[row] = Number.isNaN(values[row]) ? { time: block.times[row] } : point(row, block.times[row]);
    }
    return data;
  }

  class SeriesSet {
    constructor(library, spec, colours) {
      this.library = library;
      this.spec = spec;
      this.lines = [];
      this.levels = []; // price lines
      const { CandlestickSeries, HistogramSeries } = LightweightCharts;
      this.candles = library.addSeries(CandlestickSeries, candleOptions(colours, spec.decimals));
      if (spec.has_volume) {
        this.volume = library.addSeries(HistogramSeries, { priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false }, 1);
      }
      for (const pane of spec.panes ?? []) this.addPane(pane);
      this.setHeights();
      this.paint(colours);
    }

    addPane(pane, number = this.library.panes().length) {
      pane.series.forEach((line, position) => {
        const series = this.library.addSeries(LightweightCharts.LineSeries, {
          lineWidth: line.faint ? 1 : 2, lineStyle: line.dashed ? 2 : 0, lineType: line.step ? 1 : 0,
          priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false, priceFormat: formats[pane.format],
        }, number);
        this.lines.push({ series, column: line.column, label: line.label, tone: line.tone ?? TONES[position % TONES.length] });
        if (position > 0) return;
        for (const { value, label } of pane.levels ?? []) {
          const line = series.createPriceLine({ price: value, lineStyle: 2, lineWidth: 1, axisLabelVisible: true });
          this.levels.push({ line, label });
        }
      });
    }

    // Indicators or fuzzy sets of the strategy, one group at a time: on the candles, or in a pane of their own.
    showLines(group) {
      for (const { series } of this.shown ?? []) this.library.removeSeries(series);
      this.lines = this.lines.filter((line) => !this.shown?.includes(line));
      this.shown = [];
      this.group = group;
      if (group) {
        const before = this.lines.length;
        this.addPane({ ...group, format: "plain" }, group.on_price ? 0 : this.library.panes().length);
        this.shown = this.lines.slice(before);
      }
      this.setHeights();
      this.paint(this.colours);
    }

    setHeights() {
      this.library.panes().forEach((pane, number) => pane.setStretchFactor(number === 0 ? 5 : 1));
    }

    // Another symbol as a line; both are then shown as change since the left edge.
    addOverlay(name) {
      this.overlay = this.library.addSeries(LightweightCharts.LineSeries, {
        lineWidth: 2, title: name, priceLineVisible: false, color: colour("series-2"),
      });
      this.library.priceScale("right").applyOptions({ mode: 2 });
    }

    paint(colours) {
      this.colours = colours;
      this.library.applyOptions(chartOptions(colours));
      this.candles.applyOptions(candleOptions(colours, this.spec.decimals));
      // On a narrow screen titles would cover the lines; there the list below the chart names them.
      const title = (label) => (isNarrow.matches ? "" : label);
      for (const { series, tone, label } of this.lines) series.applyOptions({ color: colour(tone), title: title(label) });
      for (const { line, label } of this.levels) line.applyOptions({ color: colours.muted, title: title(label) });
      this.overlay?.applyOptions({ color: colour("series-2") });
      if (this.block) this.fill(this.block);
    }

    fill(block) {
      this.block = block;
      const { open, high, low, close, volume } = block.columns;
      this.candles.setData(points(block, close, (row, time) => ({
        time, open: open[row], high: high[row], low: low[row], close: close[row],
      })));
      const [up, down] = [faint(this.colours.good, 0.4), faint(this.colours.bad, 0.55)];
      this.volume?.setData(points(block, volume, (row, time) => ({
        time, value: volume[row], color: close[row] < open[row] ? down : up,
      })));
      for (const { series, column } of this.lines) {
        const values = block.columns[column];
        series.setData(points(block, values, (row, time) => ({ time, value: values[row] })));
      }
    }

    fillOverlay(block, values) {
      this.overlay.setData(points(block, values, (row, time) => ({ time, value: values[row] })));
    }
  }

  Object.assign(barCharts, { SeriesSet, chartOptions });
})();
