// The button between light and dark colours, for the report and the page of app.py; whoever draws
// hears of a change by the event `theme`.
"use strict";

(() => {
  const button = document.getElementById("theme");
  let dark = matchMedia("(prefers-color-scheme: dark)").matches;
  function choose(choice) {
    dark = choice;
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    button.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", dark ? "Light colours" : "Dark colours");
    document.dispatchEvent(new Event("theme"));
  }
  choose(dark);
  button.addEventListener("click", () => choose(!dark));
})();
