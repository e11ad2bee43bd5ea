// Light or dark: as the system says until the reader chooses.

import { $ } from "./dom.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

export function setTheme(name) {
  document.documentElement.dataset.theme = name;
}

export function startTheme(onChange) {
  let chosen = false;
  dark.addEventListener("change", () => {
    if (chosen) return;
    setTheme(dark.matches ? "dark" : "light");
    onChange();
  });
  $("theme").onclick = () => {
    chosen = true;
    setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    onChange();
  };
}

setTheme(dark.matches ? "dark" : "light");
