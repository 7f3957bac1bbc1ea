import { call } from "./calls.js";
import { announce, button, failureNotice, find, make, showValue } from "./elements.js";
import { counted, t } from "./language.js";
import { known } from "./overview.js";
import { openTraining, showDialog, showTraining } from "./training.js";

/** What a person is writing; `undefined` while no editor is open. */
let draft;

export function isEditing() {
  return draft !== undefined;
}

/** @param training - as the console returned it; `undefined` for a new one */
export function edit(training) {
  draft = {
    id: training ? String(training.id) : "",
    text: training?.text ?? "",
    rows: rowsOf(training?.metadata ?? {}),
    version: training?.version,
    isChanged: false,
    isSaving: false,
    /** What stands above the buttons: a failure, a conflict, or the question whether to discard. */
    message: undefined,
  };
  showEditor();
  find(training ? "edit-text" : "edit-id").focus();
}

function rowsOf(metadata) {
  return Object.entries(metadata).map(([name, value]) => ({ name, value: showValue(value), given: value }));
}

export function showEditor() {
  if (!draft) return;
  const isNew = draft.version === undefined;
  const { idType } = known();
  const idKind = idType === "text" || idType === "uuid" ? idType : "number";
  showDialog(
    isNew ? t("edit.new") : t("edit.heading", { id: draft.id }),
    make(
      "form",
      { id: "editor", novalidate: true, on: { submit: onSubmit, input: onInput } },
      make("div", { id: "edit-message" }),
      make("p", { class: "hint", text: t("edit.origin") }),
      isNew
        ? field(
            "edit-id",
            t("edit.id"),
            make("input", { value: draft.id, autocomplete: "off", spellcheck: "false" }),
            t(`edit.idHelp.${idKind}`),
          )
        : undefined,
      field("edit-text", t("edit.text"), textArea(draft.text), t("edit.textHelp")),
      make(
        "fieldset",
        { id: "edit-data" },
        make("legend", { text: t("edit.data") }),
        draft.rows.map(dataRow),
        button(t("edit.addData"), addRow, { id: "edit-add" }),
      ),
      make(
        "p",
        { class: "actions" },
        make("button", { type: "submit", class: "primary", id: "edit-save", text: t("edit.save") }),
        button(t("cancel"), leave),
      ),
    ),
  );
  showMessage();
}

function textArea(text) {
  const area = make("textarea", { rows: "12" });
  area.value = text;
  return area;
}

function field(id, label, input, help) {
  input.id = id;
  input.setAttribute("aria-describedby", `${id}-help`);
  return make(
    "div",
    { class: "field" },
    make("label", { for: id, text: label }),
    input,
    make("p", { class: "hint", id: `${id}-help`, text: help }),
  );
}

function dataRow({ name, value }, place) {
  const number = place + 1;
  return make(
    "div",
    { class: "data-row" },
    make("input", {
      value: name,
      "aria-label": t("edit.name", { number }),
      "data-row": String(place),
      "data-part": "name",
    }),
    make("input", {
      value,
      "aria-label": t("edit.value", { number }),
      "data-row": String(place),
      "data-part": "value",
    }),
    button("✕", () => removeRow(place), { "aria-label": t("edit.removeData", { number }), class: "small" }),
  );
}

function addRow() {
  draft.rows.push({ name: "", value: "", given: undefined });
  draft.isChanged = true;
  showEditor();
  [...document.querySelectorAll('#editor [data-part="name"]')].at(-1).focus();
}

function removeRow(place) {
  draft.rows.splice(place, 1);
  draft.isChanged = true;
  showEditor();
  find("edit-add").focus();
}

function onInput({ target }) {
  draft.isChanged = true;
  if (target.id === "edit-id") draft.id = target.value;
  else if (target.id === "edit-text") draft.text = target.value;
  else if (target.dataset.row) draft.rows[target.dataset.row][target.dataset.part] = target.value;
}

function onSubmit(event) {
  event.preventDefault();
  void save();
}

/** The data as it is stored: what was not touched keeps its type. */
function metadataOf(rows) {
  return Object.fromEntries(rows.filter(({ name, value }) => name !== "" || value !== "").map(readRow));
}

function readRow({ name, value, given }) {
  if (given === undefined || typeof given === "string") return [name, value];
  try {
    const read = JSON.parse(value);
    return [name, typeof read === typeof given ? read : value];
  } catch {
    return [name, value];
  }
}

/** What the person has to correct before anything is sent. */
function problem() {
  const names = draft.rows.filter(({ name, value }) => name !== "" || value !== "").map(({ name }) => name);
  const twice = names.find((name, place) => names.indexOf(name) < place);
  if (draft.id.trim() === "") return { textOf: () => t("edit.idNeeded"), id: "edit-id" };
  if (draft.text.trim() === "") return { textOf: () => t("edit.textNeeded"), id: "edit-text" };
  if (names.includes("")) return { textOf: () => t("edit.noName"), id: "edit-add" };
  if (twice !== undefined) return { textOf: () => t("edit.twice", { name: twice }), id: "edit-add" };
  return undefined;
}

async function save() {
  if (draft.isSaving) return;
  const wrong = problem();
  if (wrong) {
    draft.message = { wrong: wrong.textOf };
    showMessage();
    find(wrong.id).focus();
    return;
  }
  const { id, text, version } = draft;
  draft.isSaving = true;
  find("edit-save").textContent = t("edit.saving");
  try {
    const { data } = await call("/store", {
      id,
      text,
      metadata: metadataOf(draft.rows),
      ...(version ? { version } : {}),
    });
    draft = undefined;
    announce(() => savedTexts(data));
    document.dispatchEvent(new Event("changed"));
    await openTraining(id, true);
  } catch (failure) {
    draft.message = await messageOf(failure, id);
    draft.isSaving = false;
    find("edit-save").textContent = t("edit.save");
    showMessage();
    find("edit-message").querySelector(".notice").focus();
  }
}

function savedTexts({ id, status, chunks, embedded, reused, removed }) {
  const parts = [t(`saved.${status}`, { id })];
  if (chunks > 0) {
    parts.push(
      counted("saved.passages", chunks),
      `${[counted("saved.embedded", embedded), counted("saved.reused", reused)].join(", ")}.`,
    );
  }
  if (removed > 0) parts.push(counted("saved.removed", removed));
  return parts;
}

/** What to say about a failed save. If the training has changed, its stored version is read, to compare. */
async function messageOf(failure, id) {
  if (failure.code === "GONE") return { gone: true };
  if (failure.code !== "CHANGED") return { failure };
  try {
    const { data } = await call("/training", { id });
    return { stored: data };
  } catch (other) {
    return other.code === "GONE" ? { gone: true } : { failure: other };
  }
}

function showMessage() {
  const area = find("edit-message");
  if (!area) return;
  area.replaceChildren(...[messageElement()].filter(Boolean));
  if (draft.message) find("training").scrollTop = 0;
}

function messageElement() {
  const { failure, wrong, stored, gone, discard } = draft.message ?? {};
  if (wrong) return make("div", { class: "notice bad", role: "alert", text: wrong() });
  if (failure) {
    const opens = failure.code === "ID_TAKEN";
    const id = draft.id;
    return failureNotice(failure, ...(opens ? [button(t("hit.open", { id }), () => void openTaken(id))] : []));
  }
  if (discard) {
    return notice(t("edit.unsaved"), undefined, [
      button(t("edit.discard"), () => close(), { class: "danger" }),
      button(t("edit.keep"), keep),
    ]);
  }
  if (gone) {
    return notice(t("failure.GONE"), t("conflict.gone"), [button(t("conflict.create"), () => resave(undefined))]);
  }
  if (!stored) return undefined;
  return notice(
    t("conflict.heading"),
    t("conflict.text"),
    [
      button(t("conflict.mine"), () => resave(stored.version)),
      button(t("conflict.theirs"), () => {
        draft = undefined;
        showTraining(stored);
      }),
    ],
    make("h3", { text: t("conflict.stored") }),
    make("div", {
      class: "stored-text",
      text: stored.text,
      tabindex: "0",
      role: "region",
      "aria-label": t("conflict.stored"),
    }),
  );
}

function notice(heading, text, actions, ...more) {
  return make(
    "div",
    { class: "notice warn", role: "alert", tabindex: "-1" },
    make("strong", { text: heading }),
    text === undefined ? undefined : make("p", { text }),
    more,
    make("p", { class: "actions" }, actions),
  );
}

/** Saves against the version that the person has now seen. */
function resave(version) {
  draft.version = version;
  draft.message = undefined;
  void save();
}

async function openTaken(id) {
  draft = undefined;
  await openTraining(id, true);
}

function keep() {
  draft.message = undefined;
  showMessage();
  find("edit-text").focus();
}

/** Leaves the editor, but not with changes that are not saved: then it asks first. @returns whether it was left */
export function leave() {
  if (draft?.isSaving) return false;
  if (draft?.isChanged) {
    draft.message = { discard: true };
    showMessage();
    find("edit-message").querySelector(".danger").focus();
    return false;
  }
  close();
  return true;
}

function close() {
  const { version, id } = draft ?? {};
  draft = undefined;
  if (version === undefined) find("training").close();
  else void openTraining(id, true);
}
