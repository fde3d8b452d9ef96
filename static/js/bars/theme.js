// Colours of the theme and texts of a chart.
"use strict";

(() => {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  // light-dark() is resolved only in a real property.
  function colour(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }
  const faint = (rgb, alpha) => rgb.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);

  function coloursOfTheme() {
    return {
      good: colour("good"), bad: colour("bad"), warn: colour("warn"), muted: colour("muted"), line: colour("line"),
      surface: colour("surface"), session: faint(colour("series-1"), 0.06), outside: faint(colour("muted"), 0.16),
    };
  }

  const isNarrow = matchMedia("(max-width: 46rem)");

  function dateText(seconds, isIntraday) {
    return new Date(seconds * 1000).toISOString().slice(0, isIntraday ? 16 : 10).replace("T", " ");
  }
  const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });
  const numberText = (value) => numbers.format(value).replaceAll(",", "\u202f").replace("-", "−");
  const priceText = (value, decimals) => (Number.isNaN(value) ? "–" : value.toFixed(decimals).replace("-", "−"));
  const percentText = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value * 100).toFixed(2)} %`;

  Object.assign(barCharts, { colour, coloursOfTheme, faint, isNarrow, dateText, numberText, priceText, percentText });
})();
