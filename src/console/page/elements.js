import { inLanguage, t } from "./language.js";

export function find(id) {
  return document.getElementById(id);
}

/**
 * Makes an element. Texts are put as texts, whatever is in them.
 *
 * @param properties - attributes; besides `text`, and `on` with listeners. What is undefined or false is left out
 */
export function make(tag, { text, on = {}, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.flat().filter((child) => child !== undefined));
  return element;
}

export function button(text, onClick, attributes = {}) {
  return make("button", { type: "button", text, on: { click: onClick }, ...attributes });
}

/** A number and its name: pairs of a definition list. */
export function facts(rows) {
  return make(
    "dl",
    { class: "facts" },
    rows.map(([name, value]) => make("div", {}, make("dt", { text: name }), make("dd", {}, value))),
  );
}

const MIGRATE = "npx training-index migrate";
/** What to run for a failure or a warning. */
const COMMANDS = {
  SCHEMA_MISSING: MIGRATE,
  SCHEMA_OUTDATED: MIGRATE,
  SCHEMA_DAMAGED: MIGRATE,
  EXTENSION_MISSING: MIGRATE,
  WORDS_INCOMPLETE: MIGRATE,
  VECTOR_INDEX_MISSING: MIGRATE,
  VECTOR_INDEX_INVALID: MIGRATE,
  SCHEMA_NEWER: "npm install langchain-training-index@latest",
  PGVECTOR_UPDATE_PENDING: "ALTER EXTENSION vector UPDATE",
  VECTOR_INDEX_NOT_CHOSEN: "npx training-index status",
  EF_SEARCH_NOT_CHOSEN: "npx training-index recall",
  NEVER_ANALYZED: "npx training-index status",
  DEAD_ROWS: "npx training-index status",
  MANY_TOMBSTONES: "npx training-index status",
  PGVECTOR_OUTDATED: "npx training-index status",
  SWITCH_ABANDONED: "npx training-index status",
  other: "npx training-index status",
  DAMAGED_TRAINING: "npx training-index verify",
  EMPTY: "npx training-index ingest docs",
};

/** As a shell takes it. */
function quoted(name) {
  return /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}

/** A command to copy; `undefined` if there is none. */
export function commandFor(code, schema) {
  const command = COMMANDS[code];
  if (command === undefined) return undefined;
  const isOurs = command.startsWith("npx");
  const option = isOurs && schema !== undefined && schema !== "training_index" ? ` --schema ${quoted(schema)}` : "";
  return make(
    "p",
    { class: "command" },
    make("code", { text: command + option, "aria-label": t("status.run") + ": " + command + option }),
  );
}

/** What a failed call says, and what helps. */
export function failureNotice({ code, schema }, ...actions) {
  return make(
    "div",
    { class: "notice bad", role: "alert", tabindex: "-1" },
    make("strong", { text: t(`failure.${code}`) }),
    make("p", { text: t(`failure.${code}.help`) }),
    commandFor(code, schema),
    actions.length > 0 ? make("p", { class: "actions" }, actions) : undefined,
  );
}

/** The data of a training, each entry as a small label. */
export function dataLabels(metadata) {
  const entries = Object.entries(metadata ?? {});
  if (entries.length === 0) return undefined;
  return make(
    "ul",
    { class: "labels" },
    entries.map(([name, value]) => make("li", {}, make("span", { text: `${name}: ` }), showValue(value))),
  );
}

export function showValue(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What has happened, in the language of the moment; `undefined` if there is nothing to say. */
let announced;

/** Announces what has happened, above the content. @param textsOf - called again when another language is chosen */
export function announce(textsOf) {
  announced = textsOf;
  const texts = textsOf?.() ?? [];
  find("notice").replaceChildren(...texts.map((text) => make("span", { text: `${text} ` })));
  find("notice").hidden = texts.length === 0;
}

inLanguage(() => announce(announced));
