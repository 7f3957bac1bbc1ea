import { call } from "./calls.js";
import { announce, button, commandFor, dataLabels, failureNotice, find, make } from "./elements.js";
import { edit, isEditing, leave, showEditor } from "./editor.js";
import { counted, formatDate, inLanguage, t } from "./language.js";
import { known } from "./overview.js";

/** The training in the dialog; `undefined` while it is closed or shows something else. */
let open;
/** What was said above it. */
let remark;
/** A training that could not be read, or not be deleted. */
let failed;
/** The read whose training is to be shown: not one of a dialog that was closed meanwhile. */
let wanted;

/** Opens a training in the dialog. @param keepNotice - whether what was announced stays */
export async function openTraining(id, keepNotice = false) {
  if (!keepNotice) announce();
  open = undefined;
  failed = undefined;
  remark = undefined;
  showDialog(id, make("p", { text: t("loading") }));
  const reading = {};
  wanted = reading;
  try {
    const { data } = await call("/training", { id });
    if (wanted === reading) showTraining(data);
  } catch (failure) {
    if (wanted === reading) showFailure(id, failure);
  }
}

function showFailure(id, failure) {
  failed = { id, failure };
  showDialog(id, failureNotice(failure));
}

/** Shows an element in the dialog, under a heading. */
export function showDialog(heading, ...elements) {
  const dialog = find("training");
  find("training-heading").textContent = heading;
  find("training-body").replaceChildren(...elements);
  if (!dialog.open) dialog.showModal();
}

/** @param said - the key of what is said above it */
export function showTraining(training, said) {
  open = training;
  failed = undefined;
  remark = said;
  showOpen();
  find("training-heading").focus();
}

function showOpen() {
  if (!open) return;
  const { id, passages, metadata, revision, updatedAt, locked } = open;
  const { writable, status } = known();
  showDialog(
    String(id),
    ...(remark ? [make("div", { class: "notice warn", role: "alert", text: t(remark) })] : []),
    make(
      "p",
      { class: "hint" },
      [
        t("trainings.saved", { date: formatDate(updatedAt) }),
        ...(revision === undefined ? [] : [t("training.revision", { revision: String(revision) })]),
      ].join(" · "),
    ),
    ...[dataLabels(metadata)].filter(Boolean),
    ...(writable ? [writeActions()] : []),
    make("h3", { text: t("training.text") }),
    passages.length === 0
      ? make("p", { text: t("training.noText") })
      : make("p", { class: "hint", text: counted("training.passagesHelp", passages.length) }),
    make(
      "div",
      { class: "whole-text" },
      passages.map(({ content }) => make("p", { text: content })),
    ),
    ...(locked && writable
      ? [
          make(
            "div",
            { class: "notice warn" },
            make("p", { text: t(`training.${locked}`) }),
            commandFor(locked, status.schema.name),
          ),
        ]
      : []),
  );
}

function writeActions() {
  return make(
    "p",
    { class: "actions" },
    open.locked ? undefined : button(t("training.edit"), () => startEdit(open), { class: "primary" }),
    button(t("training.delete"), askDelete, { class: "danger" }),
  );
}

function startEdit(training) {
  open = undefined;
  wanted = undefined;
  edit(training);
}

function askDelete() {
  showQuestion();
  find("confirm").showModal();
  find("confirm-no").focus();
}

function showQuestion() {
  if (!open) return;
  const { id, passages } = open;
  find("confirm-heading").textContent = t("delete.heading", { id: String(id) });
  find("confirm-text").textContent = counted("delete.text", passages.length);
}

async function remove() {
  const { id, version } = open;
  find("confirm").close();
  try {
    await call("/delete", { id: String(id), version });
    open = undefined;
    find("training").close();
    announce(() => [t("delete.done", { id: String(id) })]);
    document.dispatchEvent(new Event("changed"));
  } catch (failure) {
    if (failure.code === "CHANGED") await showChanged(String(id));
    else showFailure(String(id), failure);
  }
}

async function showChanged(id) {
  await openTraining(id);
  if (open) showTraining(open, "delete.changed");
}

export function createTraining() {
  announce();
  open = undefined;
  wanted = undefined;
  edit(undefined);
}

find("training").addEventListener("cancel", (event) => {
  if (!isEditing()) return;
  event.preventDefault();
  leave();
});
find("training").addEventListener("close", () => {
  open = undefined;
  failed = undefined;
  wanted = undefined;
});
find("training-close").addEventListener("click", () => {
  if (!isEditing() || leave()) find("training").close();
});
find("confirm-yes").addEventListener("click", () => void remove());
find("confirm-no").addEventListener("click", () => find("confirm").close());
inLanguage(() => {
  if (!find("training").open) return;
  if (isEditing()) showEditor();
  else if (failed) showFailure(failed.id, failed.failure);
  else showOpen();
  showQuestion();
});
