// Tables with `data-sortable` are sorted by clicking a heading; cells may carry a sort value in data-value.
"use strict";

document.addEventListener("click", (event) => {
  const button = event.target.closest("table[data-sortable] thead th button");
  if (!button) return;
  const heading = button.closest("th");
  const table = heading.closest("table");
  const column = [...heading.parentElement.children].indexOf(heading);
  const descending = heading.getAttribute("aria-sort") !== "descending";
  for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const key = (row) => {
    const cell = row.children[column];
    const raw = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(raw);
    return raw === "" || Number.isNaN(number) ? raw : number;
  };
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))));
  if (descending) rows.reverse();
  body.append(...rows.map(([, row]) => row));
});
