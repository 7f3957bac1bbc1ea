import { call } from "./calls.js";
import { button, dataLabels, failureNotice, find, make } from "./elements.js";
import { counted, formatNumber, formatPercent, inLanguage, t } from "./language.js";
import { onOverview, known } from "./overview.js";
import { passage } from "./passages.js";
import { openTraining } from "./training.js";

const RESULTS = 8;
/** The values from which the words for a score apply, from the highest on. */
const MEANING_LEVELS = [0.75, 0.55, 0.35, 0.2];
const WORDS_LEVELS = [0.6, 0.35, 0.12, 0.001];
const MATCH_LEVELS = { hybrid: [0.5, 0.28, 0.18, 0.1], vector: MEANING_LEVELS, text: WORDS_LEVELS };

/** The search that runs; a newer one takes its place. */
let running;
/** What is shown: hits and their time, or a failure. */
let shown;

export async function search() {
  running?.abort();
  const current = new AbortController();
  running = current;
  const mode = new FormData(find("search")).get("mode") ?? "vector";
  find("found").textContent = t("search.running");
  find("hits").setAttribute("aria-busy", "true");
  try {
    const { data, ms } = await call("/search", { query: find("question").value, mode, k: RESULTS }, current.signal);
    shown = { hits: data.results, ms, mode };
  } catch (error) {
    if (current.signal.aborted) return;
    shown = { failure: error };
  }
  running = undefined;
  find("hits").removeAttribute("aria-busy");
  showFound();
  // On a phone the answer is below the window.
  const { top } = find("found").getBoundingClientRect();
  if (top > document.documentElement.clientHeight * 0.8) find("found").scrollIntoView();
}

function showFound() {
  if (!shown) return;
  const { hits, ms, failure } = shown;
  find("first").hidden = true;
  if (failure) {
    find("found").textContent = "";
    find("corrections").replaceChildren();
    find("hits").replaceChildren(make("li", {}, failureNotice(failure)));
    return;
  }
  const time = formatNumber(ms, { maximumFractionDigits: ms < 10 ? 1 : 0 });
  find("found").textContent =
    hits.length === 0 ? t("search.none", { ms: time }) : counted("search.found", hits.length, { ms: time });
  find("corrections").replaceChildren(...(hits[0]?.corrections ?? []).map(correction));
  const isWeak = ({ score }, place) => place > 0 && levelOf(score, MATCH_LEVELS[shown.mode]) === 0;
  const weaker = hits.filter(isWeak);
  find("hits").replaceChildren(
    ...hits.filter((hit, place) => !isWeak(hit, place)).map(hitCard),
    ...(weaker.length === 0 ? [] : [weakerHits(weaker)]),
  );
}

/** Matches that hardly answer are there for who wants to see them. */
function weakerHits(hits) {
  return make(
    "li",
    {},
    make(
      "details",
      {},
      make("summary", { text: counted("hit.weaker", hits.length) }),
      make("ol", { class: "hits" }, hits.map(hitCard)),
    ),
  );
}

function correction({ word, readAs }) {
  return make("p", { text: t("search.corrected", { word, readAs: readAs.join(", ") }) });
}

function hitCard(hit) {
  const id = String(hit.trainingId);
  const [best, ...others] = hit.chunks;
  const level = levelOf(hit.score, MATCH_LEVELS[shown.mode]);
  return make(
    "li",
    { class: "card hit" },
    make(
      "div",
      { class: "card-head" },
      make(
        "h3",
        {},
        button(id, () => void openTraining(id), { class: "link", "aria-label": t("hit.open", { id }) }),
      ),
      make("span", { class: `chip match-${level}`, text: t(`match.${level}`) }),
    ),
    dataLabels(hit.metadata),
    passage(best),
    scores(best),
    others.length === 0
      ? undefined
      : make("details", {}, make("summary", { text: counted("hit.more", others.length) }), others.map(passage)),
  );
}

/** How high a value is, from 0 to 4. */
function levelOf(value, levels) {
  const above = levels.findIndex((level) => value >= level);
  return above < 0 ? 0 : levels.length - above;
}

function scores({ similarity, coverage }) {
  return make(
    "dl",
    { class: "scores" },
    similarity === undefined
      ? undefined
      : score(t("hit.meaning"), similarity, t(`meaning.${levelOf(similarity, MEANING_LEVELS)}`)),
    coverage === undefined ? undefined : score(t("hit.words"), coverage, t(`words.${levelOf(coverage, WORDS_LEVELS)}`)),
  );
}

function score(name, value, words) {
  const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("span", {}));
  bar.firstChild.style.width = `${Math.round(Math.min(1, Math.max(0, value)) * 100)}%`;
  return make("div", {}, make("dt", { text: name }), make("dd", {}, bar, `${formatPercent(value)}, ${words}`));
}

function showSamples({ questions, status }) {
  find("samples-area").hidden = questions.length === 0 || status.counts.trainings === 0;
  find("samples").replaceChildren(
    ...questions.map((question) =>
      make(
        "li",
        {},
        button(question, () => {
          find("question").value = question;
          void search();
        }),
      ),
    ),
  );
}

/** Without a search by words, only one mode is possible. */
function showModes({ status }) {
  const hasWords = status.textSearch !== undefined;
  find("no-words").hidden = hasWords;
  for (const mode of document.querySelectorAll('input[name="mode"]')) {
    mode.disabled = !hasWords && mode.value !== "vector";
    if (mode.disabled && mode.checked) document.querySelector('input[name="mode"][value="vector"]').checked = true;
  }
}

onOverview((overview) => {
  find("first").hidden = shown !== undefined || overview.trainings.length === 0;
  showSamples(overview);
  showModes(overview);
});
find("search").addEventListener("submit", (event) => {
  event.preventDefault();
  if (known()) void search();
});
find("search").addEventListener("change", (event) => {
  // Another mode answers the same question anew.
  if (event.target.name === "mode" && shown && find("question").value.trim() !== "") void search();
});
inLanguage(showFound);
