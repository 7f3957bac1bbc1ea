import { commandFor, facts, find, make } from "./elements.js";
import { counted, formatBytes, formatPercent, hasText, nameOfLanguage, t } from "./language.js";
import { countText, onOverview, readOverview } from "./overview.js";

/** The codes of the languages that Postgres names. */
const LANGUAGE_CODES = {
  ...{ arabic: "ar", armenian: "hy", basque: "eu", catalan: "ca", danish: "da", dutch: "nl", english: "en" },
  ...{ finnish: "fi", french: "fr", german: "de", greek: "el", hindi: "hi", hungarian: "hu", indonesian: "id" },
  ...{ irish: "ga", italian: "it", lithuanian: "lt", nepali: "ne", norwegian: "no", portuguese: "pt", romanian: "ro" },
  ...{ russian: "ru", serbian: "sr", spanish: "es", swedish: "sv", tamil: "ta", turkish: "tr", yiddish: "yi" },
};

function showStatus({ status }) {
  const { schema, model, otherModel, counts, sizes, vectorIndex, textSearch, server, warnings } = status;
  find("status").replaceChildren(
    ...(warnings.length === 0
      ? [make("p", { class: "notice good", text: t("status.fine") })]
      : [
          make("h3", { text: t("status.warnings") }),
          make("ul", { class: "warnings" }, warnings.map(warning(schema.name))),
        ]),
    ...(otherModel ? [make("p", { class: "notice warn", text: switchText(otherModel) })] : []),
    ...(vectorIndex.build ? [make("p", { class: "notice warn", text: buildText(vectorIndex.build) })] : []),
    make(
      "div",
      { class: "groups" },
      group(t("status.content"), [
        [t("status.trainings"), countText(counts.trainings, counts.exact)],
        [t("status.passages"), countText(counts.chunks, counts.exact)],
        [t("status.deleted"), countText(counts.tombstones, counts.exact)],
      ]),
      group(t("status.search"), [
        [
          t("status.model"),
          model.recorded
            ? t("status.dimensions", { model: model.name, count: model.dimensions })
            : t("status.modelUnset"),
        ],
        [t("status.vectorIndex"), t(`use.${vectorIndex.use}`)],
        [t("status.textSearch"), textSearchText(textSearch)],
      ]),
      group(t("status.database"), [
        [t("status.schema"), schema.name],
        [
          t("status.version"),
          schema.version === schema.latest
            ? String(schema.version)
            : t("status.versionOf", { version: String(schema.version), latest: String(schema.latest) }),
        ],
        [
          t("status.size"),
          t("status.sizes", {
            total: formatBytes(sizes.total),
            tables: formatBytes(sizes.tables),
            indexes: formatBytes(sizes.indexes),
          }),
        ],
        [
          t("status.server"),
          `Postgres ${server.postgres}, pgvector ${server.pgvector}${server.isStandby ? `, ${t("status.standby")}` : ""}`,
        ],
      ]),
    ),
  );
}

function group(heading, rows) {
  return make("section", { class: "card" }, make("h3", { text: heading }), facts(rows));
}

function warning(schema) {
  return ({ code }) => {
    const known = hasText(`warning.${code}`) ? code : "other";
    return make("li", { class: "notice warn" }, make("p", { text: t(`warning.${known}`) }), commandFor(known, schema));
  };
}

function buildText({ progress }) {
  return progress === undefined ? t("status.buildUnknown") : t("status.build", { percent: formatPercent(progress) });
}

/** A move to another model, while it runs and after it. */
function switchText({ name, state, behind }) {
  return state === "building" ? counted("status.building", behind, { name }) : t("status.retired", { name });
}

function textSearchText(language) {
  if (language === undefined) return t("status.noTextSearch");
  const code = LANGUAGE_CODES[language];
  return code === undefined ? t("language.simple") : nameOfLanguage(code);
}

onOverview(showStatus);
find("refresh").addEventListener("click", () => void readOverview());
