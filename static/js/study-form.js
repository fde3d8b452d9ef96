// A click on a parameter of the strategy adds it to the study's search, or removes it.
"use strict";

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-parameter-line]");
  const text = document.getElementById("id_study_yaml");
  if (!button || !text) return;
  const lines = text.value.split("\n");
  const key = `${button.dataset.parameterLine.split(": ")[0]}:`;
  const present = lines.findIndex((line) => line.startsWith(key));
  const heading = lines.findIndex((line) => line.trimEnd() === "  parameters:");
  if (present >= 0) lines.splice(present, 1);
  else if (heading >= 0) lines.splice(heading + 1, 0, button.dataset.parameterLine);
  else return;
  text.value = lines.join("\n");
  text.dispatchEvent(new Event("input", { bubbles: true }));
});
