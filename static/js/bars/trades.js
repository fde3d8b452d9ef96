// Trades on the bars of a backtest: entries and exits joined, stops and targets, and one trade after the other by keyboard.
"use strict";

(() => {
  const { lastNotAbove, primitive } = barCharts;
  const AROUND = 20; // bars around a trade that is shown
  const MOST_WITH_LEVELS = 60; // trades in view whose stops and targets are drawn
  const SIZE = 5;

  class Trades {
    constructor(figure, chart, url) {
      Object.assign(this, { figure, chart, url, rows: [], shown: null, requested: "" });
      this.state = figure.querySelector("[data-bars-bar]");
      chart.series.candles.attachPrimitive(primitive(chart, "top", (context) => this.draw(context)));
      chart.listeners.push(() => this.load().catch(chart.onError));
    }

    async get(parameters) {
      const response = await fetch(`${this.url}?${new URLSearchParams(parameters)}`);
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      return response.json();
    }

    // Those of all bars that are loaded, so that a pan within them needs no request.
    async load() {
      const { times, count, start } = this.chart.block;
      const key = `${this.chart.level}/${start}/${count}`;
      if (key === this.requested) return;
      this.requested = key;
      const end = start + count < this.chart.rowsOf(this.chart.level) ? times[count - 1] : times[count - 1] + 7 * 86400;
      const found = await this.get({ from: times[0], until: end });
      if (key !== this.requested) return;
      this.rows = found.numbers.map((number, row) => ({
        number, start: found.entry_time[row], end: found.exit_time[row], side: found.side[row], entry: found.entry_price[row],
        exit: found.exit_price[row], pnl: found.pnl[row], stop: found.stop[row], target: found.target[row],
      }));
      this.hidden = found.numbers.length ? 0 : found.count;
      this.chart.series.candles.applyOptions({});
    }

    // The bar of the block that contains a time; an open trade ends at its last bar.
    row(time) { return time === null ? this.chart.block.count - 1 : lastNotAbove(this.chart.block.times, time); }

    draw(context) {
      const { first, last } = this.chart.visibleRows();
      context.font = this.chart.font;
      if (this.hidden) {
        context.fillStyle = this.chart.colours.muted;
        context.fillText(`${barCharts.numberText(this.hidden)} trades here; zoom in to see them`, 8, 16);
        return;
      }
      const seen = this.rows.filter((trade) => this.row(trade.start) <= last && this.row(trade.end) >= first);
      const withLevels = seen.length <= MOST_WITH_LEVELS;
      for (const trade of seen) this.drawTrade(context, trade, withLevels || trade.number === this.shown);
    }

    // Gains are solid lines that end in a circle, losses are dashed and end in a cross.
    drawTrade(context, trade, withLevels) {
      const { chart } = this;
      const [from, to] = [chart.x(this.row(trade.start)), chart.x(this.row(trade.end))];
      const [entry, exit] = [chart.y(trade.entry), chart.y(trade.exit)];
      const won = trade.pnl > 0;
      context.strokeStyle = context.fillStyle = won ? chart.colours.good : chart.colours.bad;
      context.lineWidth = trade.number === this.shown ? 3 : 1.5;
      context.setLineDash(won ? [] : [5, 4]);
      line(context, from, entry, to, exit);
      context.setLineDash([]);
      triangle(context, from, entry, trade.side);
      context.lineWidth = 2;
      if (won) circle(context, to, exit);
      else cross(context, to, exit);
      if (trade.number === this.shown) context.fillText(`${trade.number}: ${barCharts.numberText(Math.round(trade.pnl * 100) / 100)}`, to + 9, exit - 6);
      if (!withLevels) return;
      context.lineWidth = 1;
      context.setLineDash([2, 3]);
      for (const [price, tone] of [[trade.stop, "bad"], [trade.target, "good"]]) {
        if (price === null) continue;
        context.strokeStyle = chart.colours[tone];
        line(context, from, chart.y(price), Math.max(to, from + 6), chart.y(price));
      }
      context.setLineDash([]);
    }

    async show(number) {
      const trade = await this.get({ number });
      this.shown = trade.number;
      this.of = trade.of;
      const last = this.chart.spec.levels[0].starts.at(-1);
      await this.chart.showPeriod(trade.entry_time, trade.exit_time ?? Math.max(last, trade.entry_time), AROUND);
      this.state.textContent = trade.text;
    }

    step(by) {
      const next = this.shown === null ? 1 : Math.min(Math.max(this.shown + by, 1), this.of);
      return this.show(next);
    }
  }

  function line(context, x1, y1, x2, y2) {
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
    context.stroke();
  }

  // Points up for long and down for short, beside the price.
  function triangle(context, x, y, side) {
    context.beginPath();
    context.moveTo(x, y + side * 2);
    context.lineTo(x - SIZE, y + side * (2 + 2 * SIZE));
    context.lineTo(x + SIZE, y + side * (2 + 2 * SIZE));
    context.fill();
  }

  function circle(context, x, y) {
    context.beginPath();
    context.arc(x, y, SIZE - 1, 0, 2 * Math.PI);
    context.stroke();
  }

  function cross(context, x, y) {
    line(context, x - SIZE + 1, y - SIZE + 1, x + SIZE - 1, y + SIZE - 1);
    line(context, x - SIZE + 1, y + SIZE - 1, x + SIZE - 1, y - SIZE + 1);
  }

  barCharts.onStart = async (figure, chart, spec) => {
    if (!spec.trades_url) return;
    const trades = new Trades(figure, chart, spec.trades_url);
    const plot = figure.querySelector("[data-plot]");
    plot.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const by = { n: 1, p: -1 }[event.key.toLowerCase()];
      if (by) trades.step(by).catch(chart.onError);
    });
    document.addEventListener("click", (event) => {
      const link = event.target.closest("[data-trade]");
      if (!link || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      figure.scrollIntoView({ block: "start" });
      plot.focus({ preventScroll: true });
      trades.show(link.dataset.trade).catch(chart.onError);
    });
    await trades.load();
    const number = new URLSearchParams(location.search).get("trade");
    if (number) await trades.show(number);
  };
})();
