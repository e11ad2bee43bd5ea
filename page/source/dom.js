// Small helpers for elements, numbers and colours.

export const $ = (id) => document.getElementById(id);

/** An element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export const whole = (count) => count.toLocaleString("en");
export const plural = (count, word) => `${whole(count)} ${word}${count === 1 ? "" : "s"}`;

/** Three digits, and powers of ten for what is very large or small. */
export function short(value) {
  if (Number.isNaN(value)) return "unknown";
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e6 || size < 1e-3)) {
    const [digits, power] = value.toExponential(2).split("e");
    return `${digits.replace("-", "−")}·10${[...String(Number(power))].map((each) => (each === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[each])).join("")}`;
  }
  return size >= 1000 ? whole(Math.round(value)) : String(Number(value.toPrecision(3))).replace("-", "−");
}

/** Colours of the theme, as CSS and as [r, g, b] from 0 to 1. */
export function coloursNow() {
  const style = getComputedStyle(document.documentElement), found = { rgb: {} };
  for (const name of ["ground", "panel", "ink", "muted", "line", "accent", "live", "constant", "dead", "flow", "positive", "negative"]) {
    found[name] = style.getPropertyValue(`--${name}`).trim();
    found.rgb[name] = [1, 3, 5].map((at) => parseInt(found[name].slice(at, at + 2), 16) / 255);
  }
  return found;
}
