// The page shell: theme, time zone, double submits, confirmations, row selection. Pages also work without it.
"use strict";

(() => {
  const root = document.documentElement;
  const year = 31536000;
  const remember = (name, value) => {
    document.cookie = `${name}=${value};path=/;max-age=${year};samesite=lax`;
  };

  function showTimes(scope) {
    if (root.dataset.times !== "local") return;
    for (const time of scope.querySelectorAll("time[data-moment]")) {
      const moment = new Date(time.dateTime);
      const day = time.dataset.moment === "time" ? {} : { dateStyle: "short" };
      time.textContent = new Intl.DateTimeFormat("sv-SE", { ...day, timeStyle: "medium" }).format(moment);
      time.title = `${time.dateTime.slice(0, 19).replace("T", " ")} UTC`;
    }
    const zone = document.querySelector("[data-zone]");
    zone.textContent = `Times are in ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`;
  }

  for (const choice of document.querySelectorAll("[data-choice]")) {
    const name = choice.dataset.choice;
    choice.value = root.dataset[name];
    choice.addEventListener("change", () => {
      remember(name, choice.value);
      if (name === "times") location.reload();
      root.dataset[name] = choice.value;
      document.dispatchEvent(new CustomEvent("theme"));
    });
  }

  // A form is sent only once; it can be sent again when the page is restored from history.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm || form.dataset.confirm;
    if (question && !window.confirm(question)) {
      event.preventDefault();
      return;
    }
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("button:not([type=button])")) button.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
    }
  });

  // Only one menu is open; Escape or a click elsewhere closes it.
  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
  };
  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeMenus(null);
    if (event.key === "/" && !event.target.closest("input, textarea, select")) {
      event.preventDefault();
      document.getElementById("find")?.focus();
    }
  });

  // "n selected" beside the buttons that act on selected rows.
  const boxesOf = (form) => [...form.elements].filter((element) => element.matches("[data-choose]"));
  const showChosen = (form) => {
    const boxes = boxesOf(form);
    for (const box of boxes) box.closest("tr").classList.toggle("chosen", box.checked);
    form.querySelector("[data-chosen]").textContent = `${boxes.filter((box) => box.checked).length} selected`;
  };
  document.addEventListener("change", (event) => {
    const box = event.target.closest("[data-choose], [data-choose-all]");
    if (!box) return;
    if (box.matches("[data-choose-all]")) for (const other of boxesOf(box.form)) other.checked = box.checked;
    showChosen(box.form);
  });
  // The browser restores the boxes when somebody comes back.
  window.addEventListener("pageshow", () => {
    for (const text of document.querySelectorAll("form [data-chosen]")) showChosen(text.closest("form"));
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });

  // On a narrow screen, scroll the current tab into view.
  for (const current of document.querySelectorAll(".nav [aria-current], .tabs [aria-current]")) {
    const row = current.parentElement;
    row.scrollLeft = current.offsetLeft - row.offsetLeft - (row.clientWidth - current.offsetWidth) / 2;
  }

  showTimes(document);
  document.addEventListener("htmx:afterSwap", (event) => showTimes(event.target));
})();
