import { InvalidArgumentError } from "../errors.js";
import type { TextSearchLanguage } from "../schema/lexemes.js";
import { plainWord, TOKEN } from "./searched-words.js";

/**
 * What words of a question are read as: each key, a single word, is replaced by its value. A value that names the word again keeps it:
 * `{ vc: "você", celular: "celular telefone" }`. Case and accents do not matter.
 */
export type Synonyms = Readonly<Record<string, string>>;

/**
 * Abbreviations of Portuguese chats. Questions are read with them if the language of text search is Portuguese, unless `synonyms` is
 * given to `TrainingIndex.initialize`.
 *
 * @example
 * ```ts
 * import { portugueseSynonyms } from "langchain-training-index";
 *
 * const synonyms = { ...portugueseSynonyms, boleto: "boleto fatura" };
 * ```
 */
export const portugueseSynonyms: Synonyms = Object.freeze({
  ...{ n: "não", naum: "não", q: "que", oq: "o que" },
  ...{ vc: "você", vcs: "vocês", vce: "você", ce: "você", cmg: "comigo", ctg: "contigo", ngm: "ninguém", alg: "algum" },
  ...{ pq: "porque", pk: "porque", qdo: "quando", qnd: "quando", qndo: "quando", ond: "onde", kd: "cadê", qm: "quem" },
  ...{
    qto: "quanto",
    qnt: "quanto",
    qnto: "quanto",
    qtos: "quantos",
    qta: "quanta",
    qtas: "quantas",
    ql: "qual",
    qq: "qualquer",
  },
  ...{
    eh: "é",
    ta: "está",
    tah: "está",
    to: "estou",
    tao: "estão",
    tava: "estava",
    pra: "para",
    pro: "para o",
    pros: "para os",
  },
  ...{ tb: "também", tbm: "também", td: "tudo", tds: "todos", mt: "muito", mto: "muito", mta: "muita", mtos: "muitos" },
  ...{ hj: "hoje", amnh: "amanhã", agr: "agora", dps: "depois", ant: "antes", sms: "semanas", fds: "fim de semana" },
  ...{
    aki: "aqui",
    neh: "né",
    soh: "só",
    dnv: "de novo",
    msm: "mesmo",
    msma: "mesma",
    obs: "observação",
    info: "informação",
  },
  ...{
    pfv: "por favor",
    pfvr: "por favor",
    pf: "por favor",
    obg: "obrigado",
    obgd: "obrigado",
    vlw: "valeu",
    blz: "beleza",
  },
  ...{
    msg: "mensagem",
    msgs: "mensagens",
    tel: "telefone",
    cel: "celular",
    zap: "whatsapp",
    wpp: "whatsapp",
    whats: "whatsapp",
  },
});

/** Synonyms in the form that {@link withSynonyms} takes. */
export type CompiledSynonyms = ReadonlyMap<string, string>;

/** Checks and compiles the option `synonyms`. @throws {@link InvalidArgumentError} naming the entry */
export function compileSynonyms(synonyms: unknown): CompiledSynonyms | undefined {
  if (synonyms === undefined) return undefined;
  if (typeof synonyms !== "object" || synonyms === null || Array.isArray(synonyms)) {
    throw new InvalidArgumentError("synonyms", 'must be an object of words and what they are read as: { vc: "você" }');
  }
  const compiled = new Map<string, string>();
  for (const [word, readAs] of Object.entries(synonyms as Record<string, unknown>)) {
    const name = `synonyms[${JSON.stringify(word)}]`;
    const [token, ...others] = word.match(TOKEN) ?? [];
    if (token === undefined || others.length > 0 || token !== word || plainWord(word) === "") {
      throw new InvalidArgumentError(name, "must be for a single word of letters and digits");
    }
    if (typeof readAs !== "string") throw new InvalidArgumentError(name, "must be a text");
    compiled.set(plainWord(word), readAs);
  }
  return compiled;
}

const PORTUGUESE = compileSynonyms(portugueseSynonyms);

/** A question with its words replaced. @param synonyms - `undefined` for the default of the language */
export function withSynonyms(
  question: string,
  language: TextSearchLanguage,
  synonyms: CompiledSynonyms | undefined,
): string {
  const used = synonyms ?? (language === "portuguese" ? PORTUGUESE : undefined);
  if (!used || used.size === 0) return question;
  return question.replaceAll(TOKEN, (token) => used.get(plainWord(token)) ?? token);
}
