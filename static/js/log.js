// The log follows its end. Scrolling up pauses that; the button or scrolling to the bottom resumes it.
"use strict";

(() => {
  const log = document.querySelector("[data-log]");
  const button = document.querySelector("[data-follow]");
  if (!log || !button) return;

  let following = !location.hash;
  const show = () => {
    button.setAttribute("aria-pressed", String(following));
    button.textContent = following ? "Following" : "Follow";
  };
  const scrollToEnd = () => { if (following) log.scrollTop = log.scrollHeight; };

  log.addEventListener("scroll", () => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    if (atEnd !== following) {
      following = atEnd;
      show();
    }
  });
  button.addEventListener("click", () => {
    following = !following;
    show();
    scrollToEnd();
  });
  document.addEventListener("htmx:afterSwap", scrollToEnd);
  show();
  scrollToEnd();
})();
