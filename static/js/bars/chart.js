// A chart of bars: selects the level and the bars to show, and loads them during pans and zooms.
"use strict";

(() => {
  const { ChartFile, SeriesSet, coloursOfTheme, lastNotAbove } = barCharts;
  const MOST_VISIBLE = 5000; // bars, if a resolution is chosen
  const FEWEST_VISIBLE = 5;
  const FEWEST_DRAWN = 1500; // bars, with those beside the visible ones: fast to draw, and enough for several pans
  const PIXELS_A_BAR = 2; // coarser bars are shown below this width
  // A browser's cache serves one request per address at a time. Bypass it, so that a move does not wait for these requests.
  const AHEAD = { cache: "no-store", priority: "low" };
  const nextFrame = () => new Promise((resolve) => requestAnimationFrame(() => resolve()));

  class BarChart {
    constructor(element, spec) {
      this.element = element;
      this.spec = spec;
      this.file = new ChartFile(spec);
      this.overlayFile = spec.overlay && new ChartFile(spec.overlay);
      this.colours = coloursOfTheme();
      this.library = LightweightCharts.createChart(element, { ...barCharts.chartOptions(this.colours), autoSize: true });
      this.series = new SeriesSet(this.library, spec, this.colours);
      if (this.overlayFile) this.series.addOverlay(spec.overlay.name);
      this.font = `11px ${getComputedStyle(document.body).fontFamily}`;
      this.chosen = null; // the level of the choice "Resolution"; null: by zoom
      this.level = 0;
      this.view = { from: 0, to: 1 }; // rows of the level
      this.loads = 0;
      this.listeners = [];
      for (const part of [barCharts.shading, barCharts.quality]) this.series.candles.attachPrimitive(part(this));
      this.library.timeScale().subscribeVisibleLogicalRangeChange((range) => this.onMove(range));
    }

    // Positions on the canvas, by rows of the block.
    x(row) { return this.library.timeScale().logicalToCoordinate(row); }
    y(price) { return this.series.candles.priceToCoordinate(price); }
    barWidth() { return this.library.timeScale().options().barSpacing; }
    visibleRows() {
      const from = Math.floor(this.view.from - this.block.start) - 1;
      return { first: Math.max(from, 0), last: Math.min(Math.ceil(this.view.to - this.block.start) + 1, this.block.count - 1) };
    }

    get span() { return this.view.to - this.view.from; }
    get timeframe() { return this.spec.levels[this.level].timeframe; }
    get isIntraday() { return !["1d", "1w"].includes(this.timeframe); }
    rowsOf(level) { return this.spec.levels[level].rows; }
    width() { return Math.max(this.element.clientWidth - 70, 200); }

    // The finest level at which `span` bars of the current level are wide enough.
    levelFor(span) {
      if (this.chosen !== null) return this.chosen;
      const share = span / this.rowsOf(this.level);
      const fits = (level, room) => share * this.rowsOf(level) <= room;
      const room = this.width() / PIXELS_A_BAR;
      // A finer level has to fit clearly, or zooming would flicker between two.
      const level = this.spec.levels.findIndex((_, number) => fits(number, number < this.level ? room * 0.6 : room));
      return level < 0 ? this.spec.levels.length - 1 : level;
    }

    // Show the rows `from` to `to` of a level. The newest call wins.
    async show(level, from, to) {
      const load = (this.loads += 1);
      const span = Math.max(to - from, FEWEST_VISIBLE);
      const rows = this.rowsOf(level);
      const beside = Math.max(span, (FEWEST_DRAWN - span) / 2);
      const low = Math.min(Math.max(Math.floor(from - beside), 0), rows - 1);
      const high = Math.min(Math.max(Math.ceil(to + beside), low + 1), rows);
      const block = await this.file.rows(level, low, high);
      const over = this.overlayFile ? await this.overlayValues(level, block) : null;
      if (load !== this.loads) return;
      if (level === this.level && this.loading) ({ from, to } = this.view); // moved meanwhile
      this.loading = false;
      this.applying = true;
      this.level = level;
      this.block = block;
      this.view = { from, to };
      this.library.timeScale().applyOptions({ timeVisible: this.isIntraday });
      this.series.fill(block);
      if (over) this.series.fillOverlay(block, over);
      this.scrollTo(this.view);
      await nextFrame(); // the library reports its ranges in this frame, which it requested earlier
      this.applying = false;
      this.prefetchAround();
      this.notify();
    }

    async onMove(range) {
      if (!range || !this.block || this.applying) return;
      this.view = { from: range.from + this.block.start, to: range.to + this.block.start };
      try {
        await this.follow(this.levelFor(this.span));
      } catch (error) {
        this.onError?.(error);
      }
    }

    // Load what the view needs after it moved.
    async follow(level) {
      if (level !== this.level) {
        await this.changeLevel(level);
      } else if (this.isNearEdge() && !this.loading) {
        this.loading = true;
        await this.show(level, this.view.from, this.view.to).finally(() => { this.loading = false; });
      } else {
        this.notify();
      }
    }

    isNearEdge() {
      const margin = this.span / 3;
      const { start, count } = this.block;
      return (this.view.from - margin < start && start > 0)
        || (this.view.to + margin > start + count && start + count < this.rowsOf(this.level));
    }

    // The same time at another level.
    async changeLevel(level) {
      const half = Math.min((this.span * this.rowsOf(level)) / this.rowsOf(this.level), MOST_VISIBLE) / 2;
      const time = this.middleTime();
      this.prefetchAt(level, time, Math.max(3 * half, FEWEST_DRAWN / 2)); // with the row's own tile, so that both come with one request
      await this.locked(async () => {
        const row = await this.file.rowAt(level, time);
        await this.show(level, row - half, row + half);
      });
    }

    middleTime() { return this.timeAt((this.view.from + this.view.to) / 2); }

    prefetchAt(level, time, reach, options) {
      const row = this.file.rowNear(level, time);
      this.file.prefetch(level, row - reach, row + reach, options);
    }

    // Load ahead what the next pan or zoom shows.
    prefetchAround() {
      this.file.prefetch(this.level, this.block.start - this.span, this.block.start + this.block.count + this.span, AHEAD);
      if (this.chosen !== null) return;
      const reach = this.width() / PIXELS_A_BAR;
      for (const level of [this.level - 1, this.level + 1]) {
        if (this.spec.levels[level]) this.prefetchAt(level, this.middleTime(), reach, AHEAD);
      }
    }

    timeAt(row) {
      const at = Math.min(Math.max(Math.round(row) - this.block.start, 0), this.block.count - 1);
      return this.block.times[at];
    }

    choose(level) {
      this.chosen = level;
      return this.changeLevel(level ?? this.levelFor(this.span));
    }

    showAll() {
      const rows = this.rowsOf(this.level);
      const level = this.levelFor(rows);
      const all = this.rowsOf(level);
      return this.show(level, Math.max(-1, this.chosen === null ? -1 : all - MOST_VISIBLE), all);
    }

    showLatest(count) {
      const rows = this.rowsOf(0);
      return this.show(0, Math.max(rows - count, -1), rows);
    }

    // `margin` bars around a period, at the finest level at which they are wide enough.
    async showPeriod(start, end, margin) {
      const fits = async (level) => {
        const [from, to] = [await this.file.rowAt(level, start), await this.file.rowAt(level, end)];
        return to - from + 2 * margin <= this.width() / PIXELS_A_BAR ? [from, to] : null;
      };
      for (let level = this.chosen ?? 0; level < this.spec.levels.length; level += 1) {
        const rows = await fits(level);
        if (rows) return this.show(level, rows[0] - margin, rows[1] + margin + 1);
      }
      return this.showAll();
    }

    pan(share) {
      const step = this.span * share;
      const from = Math.min(Math.max(this.view.from + step, -this.span / 2), this.rowsOf(this.level) - this.span / 2);
      return this.moveTo(from, from + this.span);
    }

    zoom(factor) {
      const most = this.chosen === null ? this.rowsOf(this.level) * 1.05 : MOST_VISIBLE;
      const half = Math.min(Math.max(this.span * factor, FEWEST_VISIBLE), most) / 2;
      const middle = Math.min((this.view.from + this.view.to) / 2, this.rowsOf(this.level) - half / 2);
      return this.moveTo(middle - half, middle + half);
    }

    async moveTo(from, to) {
      this.view = { from, to };
      const level = this.levelFor(this.span);
      if (level !== this.level) return this.changeLevel(level);
      if (this.isLoaded()) this.scrollTo(this.view);
      if (!this.isNearEdge()) return this.notify();
      // The library would not move to where it has no bars, and report another range.
      return this.locked(() => this.show(level, from, to));
    }

    isLoaded() {
      const end = this.block.start + this.block.count;
      return (this.view.from >= this.block.start || this.block.start === 0) && (this.view.to <= end || end === this.rowsOf(this.level));
    }

    // Ignore the ranges that the library reports until `show` has set its own.
    async locked(show) {
      this.applying = true;
      try {
        await show();
      } catch (error) {
        this.applying = false;
        throw error;
      }
    }

    // Move the crosshair to a row of the level, and the view with it.
    async setCursor(row) {
      this.cursor = Math.min(Math.max(row, 0), this.rowsOf(this.level) - 1);
      if (this.cursor < this.view.from || this.cursor > this.view.to - 1) {
        const from = this.cursor < this.view.from ? this.cursor - this.span * 0.1 : this.cursor + this.span * 0.1 - this.span;
        await this.moveTo(from, from + this.span);
      }
      const at = this.cursor - this.block.start;
      this.library.setCrosshairPosition(this.block.columns.close[at], this.block.times[at], this.series.candles);
      this.onCursor?.(at);
    }

    // The last close of the other symbol at each bar.
    async overlayValues(level, block) {
      const file = this.overlayFile;
      const other = file.levels.findIndex(({ timeframe }) => timeframe === this.spec.levels[level].timeframe);
      const values = new Float64Array(block.count).fill(NaN);
      if (other < 0) return values;
      const from = await file.rowAt(other, block.times[0]);
      const to = await file.rowAt(other, block.times[block.count - 1]);
      const { times, columns } = await file.rows(other, from, to + 2);
      for (let row = 0; row < block.count; row += 1) {
        const at = lastNotAbove(times, block.times[row]);
        if (at >= 0 && (at < times.length - 1 || block.times[row] - times[at] < 7 * 86400)) values[row] = columns.close[at];
      }
      return values;
    }

    notify() { for (const listener of this.listeners) listener(this); }

    // Scroll the library to rows of the level.
    scrollTo({ from, to }) {
      this.library.timeScale().setVisibleLogicalRange({ from: from - this.block.start, to: to - this.block.start });
    }

    repaint() {
      this.colours = coloursOfTheme();
      this.series.paint(this.colours);
      if (!this.block) return; // the first bars are still on their way
      this.scrollTo(this.view);
    }
  }

  Object.assign(barCharts, { BarChart });
})();
