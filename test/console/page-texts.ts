/** The folder of the console's page. */
export const PAGE = new URL("../../src/console/page/", import.meta.url);

type Texts = Readonly<Record<string, string>>;

/** The texts of the page in both languages, as the browser gets them. */
export async function allTexts(): Promise<{ english: Texts; portuguese: Texts }> {
  const [{ english }, { portuguese }] = (await Promise.all(
    ["texts-en.js", "texts-pt.js"].map((name) => import(new URL(name, PAGE).href)),
  )) as [{ english: Texts }, { portuguese: Texts }];
  return { english, portuguese };
}
