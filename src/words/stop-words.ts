import type { TextSearchLanguage } from "../schema/lexemes.js";

/**
 * Stop words of a language whose accents are gone. Postgres' lists have them with their accents, which texts and questions have lost
 * when it looks: `não` and `nao` would count as words.
 *
 * Made from the files `tsearch_data/*.stop` of Postgres 17: those of their words that differ once {@link foldAccents} has removed
 * the accents. Left out because they are other words without them: Portuguese `são` (`São Paulo`), Italian `farò` and Swedish `är`.
 */
const UNACCENTED_STOP_WORDS: Partial<Record<TextSearchLanguage, string>> = {
  danish: "nar ogsa pa sadan",
  finnish:
    "eivat etta han haneen hanella hanelle hanelta hanen hanessa hanesta hanet hanta heidan heidat heilla heilta heissa heista heita " +
    "keilla keilta keina keissa keista keita kenella kenelta kenena kenessa kenesta keta ketka meidan meidat meilla meilta meissa " +
    "meista meita mika milla milta mina minka missa mista mita mitka naiden naihin naiksi nailla naille nailta naina naissa naista " +
    "naita nama niilla niilta niina niissa niista niita seka siina siita silla silta sina sita tahan taksi talla talle talta tama taman " +
    "tana tassa tasta tata teidan teidat teilla teilta teissa teista teita tuota",
  french:
    "a etaient etais etait etant etante etantes etants ete etee etees etes etiez etions eumes eutes fumes futes meme",
  german: "fur konnen konnte uber wahrend wurde wurden",
  hungarian:
    "altal altalaban amig arrol at azert aztan azutan bar belul egesz egyeb eleg előszor en eppen es ezert fele igy ismet jo jol " +
    "keressunk keresztul kivul kozott kozul legalabb magat mar mas masik miert mig neha nehany nelkul ossze ra sajat szamara talan " +
    "tehat tobb tovabb tovabba ugy uj ujabb ujra utan utana utolso valo",
  italian: "avra avro fara perche piu sara saro stara staro",
  norwegian: "a bade bae hja na nar ogsa pa sa sann",
  portuguese:
    "ate eramos estao estavamos estiveramos estivessemos foramos fossemos ha hao houveramos houverao houveriamos houvessemos ja nao " +
    "sera serao seriamos so tambem tera terao teriamos tinhamos tiveramos tivessemos voce voces",
  spanish:
    "eramos estabamos estais estan estara estaran estaras estare estareis estaria estariais estariamos estarian estarias esteis esten " +
    "estes estuvieramos estuviesemos fueramos fuesemos habeis habia habiais habiamos habian habias habra habran habras habre habreis " +
    "habria habriais habriamos habrian habrias hayais hubieramos hubiesemos mas mia mias mio mios seais sera seran seras sere sereis " +
    "seria seriais seriamos serian serias si tambien tendra tendran tendras tendre tendreis tendria tendriais tendriamos tendrian " +
    "tendrias teneis tengais tenia teniais teniamos tenian tenias tuvieramos tuviesemos",
  swedish: "an at da dar for fran nagon nagot nagra nar over pa sa sadan sadana sadant sjalv varfor",
  turkish: "birkac cok cunku hic icin nicin tum",
};

const SETS = new Map<TextSearchLanguage, ReadonlySet<string>>();

/** Whether a word in lower case and without accents is a stop word that Postgres does not know in this form. */
export function isStopWord(word: string, language: TextSearchLanguage): boolean {
  let words = SETS.get(language);
  if (!words) {
    words = new Set(UNACCENTED_STOP_WORDS[language]?.split(" "));
    SETS.set(language, words);
  }
  return words.has(word);
}
