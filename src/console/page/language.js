import { english } from "./texts-en.js";
import { portuguese } from "./texts-pt.js";

export const LANGUAGES = { pt: portuguese, en: english };
const LOCALES = { pt: "pt-BR", en: "en" };

let language = navigator.language.startsWith("pt") ? "pt" : "en";
const renderers = [];

/** The text of a key, with its values. Values that are numbers are written as the language writes them. */
export function t(key, values = {}) {
  const text = LANGUAGES[language][key];
  if (text === undefined) throw new Error(`there is no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? formatNumber(value) : String(value);
  });
}

/** The text for a count. */
export function counted(key, count, values = {}) {
  return t(`${key}.${count === 1 ? "one" : "other"}`, { ...values, count });
}

export function hasText(key) {
  return Object.hasOwn(LANGUAGES[language], key);
}

export function formatNumber(value, options = {}) {
  return new Intl.NumberFormat(LOCALES[language], { maximumFractionDigits: 0, ...options }).format(value);
}

export function formatPercent(share) {
  return formatNumber(Math.max(0, share), { style: "percent" });
}

export function formatDate(text) {
  return new Intl.DateTimeFormat(LOCALES[language], { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));
}

export function formatBytes(bytes) {
  const units = ["kilobyte", "megabyte", "gigabyte", "terabyte"];
  let [value, unit] = [bytes / 1000, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return formatNumber(value, { style: "unit", unit: units[unit], maximumFractionDigits: value < 10 ? 1 : 0 });
}

/** The name of a language, such as "Portuguese", for its code. */
export function nameOfLanguage(code) {
  return new Intl.DisplayNames(LOCALES[language], { type: "language" }).of(code);
}

/** Calls a function now and whenever another language is chosen. */
export function inLanguage(render) {
  renderers.push(render);
  render();
}

export function chosenLanguage() {
  return language;
}

export function chooseLanguage(chosen) {
  language = chosen;
  for (const render of renderers) render();
}

/** Puts the texts of the page's own elements: what their attribute `data-text` names, and `data-label` for assistive technology. */
export function showTexts() {
  document.documentElement.lang = LOCALES[language];
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t(element.dataset.label));
  }
}
