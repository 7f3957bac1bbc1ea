import { call } from "./calls.js";
import { button, commandFor, facts, find, make } from "./elements.js";
import { createTraining } from "./training.js";
import { counted, formatNumber, inLanguage, t } from "./language.js";

/** What is known of the index: its status, what may be done with it, and questions to begin with. */
let overview;
let failure;
const listeners = [];

export function known() {
  return overview;
}

/** Calls a function whenever the overview has been read, and when another language is chosen. */
export function onOverview(render) {
  listeners.push(render);
}

/** Reads the overview. If that fails, the whole page says why: nothing else would work. */
export async function readOverview() {
  document.body.setAttribute("aria-busy", "true");
  try {
    ({ data: overview } = await call("/overview", {}));
    failure = undefined;
  } catch (error) {
    failure = error;
  }
  document.body.removeAttribute("aria-busy");
  show();
}

export function countText(count, exact) {
  return exact ? formatNumber(count) : t("about", { count });
}

function show() {
  find("trouble").hidden = failure === undefined;
  find("content").hidden = failure !== undefined || overview === undefined;
  find("views").hidden = find("content").hidden;
  find("start").hidden = failure !== undefined || overview !== undefined;
  if (failure) showTrouble();
  if (!overview || failure) return;
  const { status, writable } = overview;
  find("schema").textContent = status.schema.name;
  find("access").textContent = t(writable ? "writable" : "readOnly");
  find("access").title = writable ? "" : t("readOnlyHelp");
  for (const render of listeners) render(overview);
  showGlance(overview);
  showEmpty(overview);
}

function showTrouble() {
  const { code, schema } = failure;
  find("trouble").replaceChildren(
    make("h2", { text: t(`failure.${code}`), tabindex: "-1" }),
    make("p", { text: t(`failure.${code}.help`) }),
    ...[commandFor(code, schema)].filter(Boolean),
    make(
      "p",
      {},
      button(t("again"), () => void readOverview(), { class: "primary" }),
    ),
  );
}

function showGlance({ status }) {
  const { counts, model, warnings } = status;
  find("glance").replaceChildren(
    facts([
      [t("glance.trainings"), countText(counts.trainings, counts.exact)],
      [t("glance.passages"), countText(counts.chunks, counts.exact)],
      [t("glance.model"), model.recorded ? model.name : t("status.modelUnset")],
      [
        t("glance.state"),
        make("span", {
          class: warnings.length === 0 ? "chip good" : "chip warn",
          text: warnings.length === 0 ? t("glance.fine") : counted("glance.warnings", warnings.length),
        }),
      ],
    ]),
  );
}

function showEmpty({ status, writable }) {
  const { trainings, exact } = status.counts;
  const isEmpty = exact && trainings === 0;
  find("empty").hidden = !isEmpty;
  find("search-view").classList.toggle("is-empty", isEmpty);
  if (!isEmpty) return;
  find("empty").replaceChildren(
    make("h2", { text: t("empty.heading") }),
    make("p", { text: t(writable ? "empty.write" : "empty.read") }),
    commandFor("EMPTY", status.schema.name),
    ...(writable ? [make("p", {}, button(t("trainings.new"), createTraining, { class: "primary" }))] : []),
  );
}

inLanguage(show);
