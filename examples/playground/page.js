// The page: no framework, no build step. Texts are inserted as text, never as HTML.
import { isLanguage, preferredLanguage, texts } from "./texts.js";

const element = (id) => document.getElementById(id);
let language = preferredLanguage(navigator.language);
let trainings = [];

const text = (key, ...values) => values.reduce((whole, value) => whole.replace("%", value), texts[language][key]);

function make(tag, fields = {}, ...children) {
  const made = Object.assign(document.createElement(tag), fields);
  made.append(...children);
  return made;
}

async function ask(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function search() {
  const query = element("query").value;
  const strategy = element("strategy").value;
  const mode = element("mode").value;
  element("hits").replaceChildren();
  element("found").textContent = "";
  try {
    const { results } = await ask("POST", "oraculo/similarity", { query, mode, strategy });
    element("found").textContent = text("found", results.length);
    element("hits").append(...results.map(hitItem));
  } catch (error) {
    element("found").textContent = error.message;
  }
}

function hitItem(hit) {
  const training = trainings.find(({ id }) => id === hit.trainingId);
  const passages = hit.chunks ?? [hit];
  const parts = [
    ["score", hit.score],
    ["similarity", hit.similarity],
    ["coverage", hit.coverage],
  ];
  const scores = parts
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${value.toFixed(3)}`)
    .join(", ");
  const bar = make("div");
  bar.style.width = `${Math.max(0, hit.score) * 100}%`;
  const { tag = "", grupo = "" } = hit.metadata;
  return make(
    "li",
    {},
    make("strong", { textContent: hit.trainingId }),
    ` ${[tag, grupo].filter(Boolean).join(" - ")} · ${scores}`,
    make("div", { className: "bar" }, bar),
    markedText(training?.conteudo ?? passages.map(({ content }) => content).join("\n"), passages),
  );
}

/** The whole training, with the found passages marked, and in them the question's words. */
function markedText(content, passages) {
  const paragraph = make("p");
  let place = 0;
  for (const { start, end, matches = [] } of [...passages].sort((left, right) => left.start - right.start)) {
    paragraph.append(content.slice(place, Math.max(place, start)));
    paragraph.append(make("mark", {}, ...withWords(content, Math.max(place, start), end, start, matches)));
    place = Math.max(place, end);
  }
  paragraph.append(content.slice(place));
  return paragraph;
}

/** A part of a training. `matches` are places in the passage, which begins at `start`. */
function withWords(content, from, end, start, matches) {
  const parts = [];
  let place = from;
  for (const match of matches.filter((match) => start + match.start >= from)) {
    parts.push(content.slice(place, start + match.start));
    place = start + match.end;
    parts.push(make("em", { textContent: content.slice(start + match.start, place) }));
  }
  return [...parts, content.slice(place, end)];
}

async function change(method, training) {
  try {
    const result = await ask(method, `treinamentos/${encodeURIComponent(training.id)}`, training);
    const { status, chunks, embedded, reused, removed } = result;
    element("saved").textContent = text("saved", training.id, status, chunks, embedded, reused, removed);
  } catch (error) {
    element("saved").textContent = error.message;
  }
  await showTrainings();
}

async function showTrainings() {
  trainings = await ask("GET", "treinamentos");
  element("trainings").replaceChildren(...trainings.map(trainingItem));
}

function trainingItem(training) {
  const { id, tag, grupo, conteudo, finalizado } = training;
  const button = (key, onclick) =>
    make("button", { type: "button", textContent: text(key), ariaLabel: `${text(key)}: ${id}`, onclick });
  return make(
    "li",
    { className: finalizado ? "" : "draft" },
    make(
      "div",
      { className: "training-head" },
      make("strong", { textContent: `${id}${finalizado ? "" : ` (${text("draft")})`}` }),
      button("edit", () => openEditor(training)),
      button(finalizado ? "unfinalise" : "finalise", () => change("PUT", { ...training, finalizado: !finalizado })),
      button("delete", () => change("DELETE", training)),
    ),
    make("p", {
      textContent: `${tag} - ${grupo}\n${conteudo.slice(0, 160)}${conteudo.length > 160 ? "…" : ""}`,
    }),
  );
}

function openEditor(training = { id: "", tag: "", grupo: "", conteudo: "", finalizado: true }) {
  const field = (name) => element(`edit-${name}`);
  for (const name of ["id", "tag", "grupo", "conteudo"]) field(name).value = training[name];
  field("id").readOnly = training.id !== "";
  field("finalizado").checked = training.finalizado;
  element("editor").returnValue = "cancel";
  element("editor").showModal();
}

element("editor").addEventListener("close", () => {
  if (element("editor").returnValue !== "save") return;
  const valueOf = (name) => element(`edit-${name}`).value;
  void change("PUT", {
    id: valueOf("id"),
    tag: valueOf("tag"),
    grupo: valueOf("grupo"),
    conteudo: valueOf("conteudo"),
    finalizado: element("edit-finalizado").checked,
  });
});

function showLanguage() {
  document.documentElement.lang = language === "pt" ? "pt-BR" : "en";
  element("language").value = language;
  for (const place of document.querySelectorAll("[data-text]")) {
    place.textContent = text(place.dataset.text);
  }
  document.title = text("title");
}

element("language").addEventListener("change", ({ target }) => {
  if (!isLanguage(target.value)) return;
  language = target.value;
  showLanguage();
  void showTrainings();
});
element("search").addEventListener("submit", (event) => {
  event.preventDefault();
  void search();
});
element("add").addEventListener("click", () => openEditor());
showLanguage();
await showTrainings();
