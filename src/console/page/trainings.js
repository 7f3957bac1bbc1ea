import { call } from "./calls.js";
import { button, dataLabels, failureNotice, find, make } from "./elements.js";
import { counted, formatDate, inLanguage, t } from "./language.js";
import { known, onOverview } from "./overview.js";
import { marked } from "./passages.js";
import { createTraining, openTraining } from "./training.js";

const FOUND_BY_WORDS = 25;
const MAX_SNIPPET = 180;

/** What the list shows: a way to find, and for pages where each begins. */
const list = {
  by: "id",
  query: "",
  begins: [undefined],
  next: null,
  trainings: [],
  hits: undefined,
  failure: undefined,
};
/** The read that runs; a newer one takes its place. */
let reading;
let isWanted = false;

/** Reads what the list shows. */
export async function readTrainings() {
  isWanted = true;
  reading?.abort();
  const current = new AbortController();
  reading = current;
  find("list").setAttribute("aria-busy", "true");
  try {
    await (list.by === "words" && list.query.trim() !== "" ? readFound : readPage)(current.signal);
    list.failure = undefined;
  } catch (error) {
    if (current.signal.aborted) return;
    list.failure = error;
  }
  reading = undefined;
  find("list").removeAttribute("aria-busy");
  showList();
}

async function readPage(signal) {
  const after = list.begins.at(-1);
  const prefix = list.by === "id" ? list.query : "";
  const { data } = await call("/trainings", after === undefined ? { prefix } : { prefix, after }, signal);
  Object.assign(list, { trainings: data.trainings, next: data.next, hits: undefined });
}

async function readFound(signal) {
  const { data } = await call("/search", { query: list.query, mode: "text", k: FOUND_BY_WORDS }, signal);
  Object.assign(list, { hits: data.results, next: null });
}

function showList() {
  const { query, begins, next, trainings, hits, failure } = list;
  find("show-all").hidden = query === "";
  find("list-note").textContent = failure ? "" : noteOf();
  const rows = failure
    ? [
        make(
          "li",
          {},
          failureNotice(
            failure,
            button(t("again"), () => void readTrainings()),
          ),
        ),
      ]
    : hits
      ? hits.map(foundRow)
      : trainings.map(trainingRow);
  find("list").replaceChildren(...rows);
  find("pager").hidden = hits !== undefined || failure !== undefined || (begins.length === 1 && next === null);
  find("page").textContent = t("trainings.page", { page: begins.length });
  find("previous").disabled = begins.length === 1;
  find("next").disabled = next === null;
  find("by-words").disabled = known()?.status.textSearch === undefined;
}

function noteOf() {
  const { query, hits, trainings } = list;
  if (hits) return hits.length === 0 ? t("trainings.noneByWords") : counted("trainings.best", hits.length);
  return trainings.length === 0 && query !== "" ? t("trainings.noneById", { query }) : "";
}

function trainingRow({ id, metadata, chunks, updatedAt }) {
  return make(
    "li",
    { class: "row" },
    nameOf(String(id)),
    make("p", {
      class: "hint",
      text: `${counted("trainings.passages", chunks)} · ${t("trainings.saved", { date: formatDate(updatedAt) })}`,
    }),
    dataLabels(metadata),
  );
}

function foundRow({ trainingId, metadata, chunks: [best] }) {
  const { content, matches = [] } = best;
  const first = Math.max(0, (matches[0]?.start ?? 0) - 40);
  const from = first === 0 ? 0 : content.indexOf(" ", first) + 1;
  const to = Math.min(content.length, from + MAX_SNIPPET);
  return make(
    "li",
    { class: "row" },
    nameOf(String(trainingId)),
    make(
      "p",
      { class: "snippet" },
      from > 0 ? "… " : "",
      marked(content, { from, to }, matches),
      to < content.length ? " …" : "",
    ),
    dataLabels(metadata),
  );
}

function nameOf(id) {
  return make(
    "h3",
    {},
    button(id, () => void openTraining(id), { class: "link", "aria-label": t("hit.open", { id }) }),
  );
}

function turn(change) {
  change();
  void readTrainings();
  find("trainings-heading").focus();
}

find("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const by = new FormData(event.target).get("by") ?? "id";
  Object.assign(list, { by, query: find("find-query").value, begins: [undefined] });
  void readTrainings();
});
find("show-all").addEventListener("click", () => {
  find("find-query").value = "";
  Object.assign(list, { query: "", begins: [undefined] });
  void readTrainings();
  find("find-query").focus();
});
find("previous").addEventListener("click", () => turn(() => list.begins.pop()));
find("next").addEventListener("click", () => turn(() => list.begins.push(list.next)));
find("new").addEventListener("click", createTraining);
document.addEventListener("changed", () => {
  if (isWanted) void readTrainings();
});
onOverview(({ writable, trainings }) => {
  find("first-list").replaceChildren(...trainings.map(trainingRow));
  find("new").hidden = !writable;
  if (isWanted) showList();
});
inLanguage(() => {
  if (isWanted) showList();
});
