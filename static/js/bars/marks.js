// Drawn behind and over the candles: shaded sessions, gaps, spikes and suspected splits.
"use strict";

(() => {
  const MOST_RUNS = 160;
  const MOST_LABELS = 12;
  const SPLIT = 2;

  // A primitive of Lightweight Charts that calls `draw` with a canvas in pixels of the page, once there are bars.
  function primitive(chart, zOrder, draw) {
    const renderer = {
      draw: (target) => target.useMediaCoordinateSpace(({ context, mediaSize }) => {
        if (!chart.block) return;
        context.save();
        draw(context, mediaSize);
        context.restore();
      }),
    };
    const view = { zOrder: () => zOrder, renderer: () => renderer };
    return { paneViews: () => [view], updateAllViews: () => {} };
  }

  // Runs of bars with the same session number, as [first, last, number]; only those that are shaded.
  function shadedRuns(sessions, first, last) {
    const runs = [];
    for (let row = first; row <= last; row += 1) {
      const number = sessions[row];
      if (!number) continue;
      const run = runs.at(-1);
      if (run && run[1] === row - 1 && run[2] === number) run[1] = row;
      else runs.push([row, row, number]);
    }
    return runs;
  }

  function shading(chart) {
    return primitive(chart, "bottom", (context, size) => {
      const { first, last } = chart.visibleRows();
      const sessions = chart.block.columns.session;
      if (!sessions || last < first) return;
      const runs = shadedRuns(sessions, first, last);
      if (runs.length > MOST_RUNS) return;
      const half = chart.barWidth() / 2;
      for (const [from, to, number] of runs) {
        const left = chart.x(from) - half;
        context.fillStyle = number === 1 ? chart.colours.session : chart.colours.outside;
        context.fillRect(left, 0, chart.x(to) + half - left, size.height);
      }
    });
  }

  function drawGap(chart, context, size, row, withLabel) {
    const x = Math.round(chart.x(row) - chart.barWidth() / 2) + 0.5;
    context.strokeStyle = chart.colours.warn;
    context.setLineDash([4, 3]);
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, size.height);
    context.stroke();
    if (!withLabel) return;
    context.fillStyle = chart.colours.warn;
    context.fillText(`gap ${chart.block.columns.missing[row]}`, x + 3, 12);
  }

  function drawSuspicious(chart, context, row) {
    const x = chart.x(row);
    const y = chart.y(chart.block.columns.high[row]) - 9;
    context.fillStyle = chart.colours.warn;
    context.beginPath();
    context.moveTo(x, y + 5);
    context.lineTo(x + 5, y);
    context.lineTo(x, y - 5);
    context.lineTo(x - 5, y);
    context.fill();
    context.fillText(chart.block.columns.mark[row] === SPLIT ? "split?" : "spike", x + 8, y + 4);
  }

  function quality(chart) {
    return primitive(chart, "top", (context, size) => {
      const { missing, mark } = chart.block.columns;
      if (!missing) return;
      const { first, last } = chart.visibleRows();
      const gaps = [];
      context.font = chart.font;
      for (let row = first; row <= last; row += 1) {
        if (missing[row] > 0) gaps.push(row);
        if (mark[row] > 0) drawSuspicious(chart, context, row);
      }
      if (gaps.length > MOST_RUNS) return;
      for (const row of gaps) drawGap(chart, context, size, row, gaps.length <= MOST_LABELS);
    });
  }

  Object.assign(barCharts, { primitive, shading, quality });
})();
