/** Every state of the console's page in Chromium: looked at, checked for accessibility, in both languages, light and dark. */
import { stat } from "node:fs/promises";
import { DatabaseError, TrainingIndex } from "langchain-training-index";
import { migrate } from "langchain-training-index/migrations";
import pg from "pg";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { trainings } from "../../examples/support/trainings.js";
import type { IndexStatus } from "../../src/index.js";
import { statusWarningCodes } from "../../src/inspecting/index-status.js";
import type { Opened } from "../../src/console/open-index.js";
import { describeOnEmbedded, uniqueName, type TestDatabase } from "../support/databases.js";
import { CountingEmbeddings, filledIndex, openTestIndex } from "../support/index.js";
import {
  ask,
  contentWidth,
  hasChromium,
  launch,
  openedOf,
  openPage,
  screenshot,
  serve,
  settled,
  shownTexts,
  violations,
} from "./browser.js";
import { allTexts } from "./page-texts.js";

const QUESTION = "Qual é o frete de plantas com mais de um metro de altura?";
const SAMPLES = [QUESTION, "Posso pagar com Pix?", "A loja abre aos sábados?"];
const ENGLISH_QUESTIONS = [
  "How much is shipping for plants taller than one metre?",
  "Can I pay by card?",
  "Are you open on Saturdays?",
];
const ENGLISH_TRAININGS = [
  {
    id: "delivery",
    metadata: { tag: "delivery", group: "logistics" },
    content: `We deliver flowers, pots and garden tools in the whole town and its neighbouring villages. Orders that are paid by eleven in the morning, Monday to Saturday, leave on the same day and arrive between two and seven. Orders that are paid later are delivered on the next working day. There are no deliveries on Sundays and holidays, except on Mother's Day and Valentine's Day, when we work special hours that the site announces two weeks before. The driver calls ten minutes before arriving, and waits five minutes in front of the address. Fragile plants travel in boxes with a window, so please open them on the same day. If you send a present, write the card in the cart: we print it, and the price stays off the parcel.

Shipping costs $ 4 within five kilometres of the shop, and $ 7 elsewhere in town. It is free for orders over $ 60. Plants taller than one metre, bags of soil over twenty kilos and sets of ceramic pots travel in a larger van and cost $ 9 more, even if shipping is free. The cart shows the exact price before you pay, and it does not change after the order is confirmed. If you prefer, collect your order at the shop and pay nothing: we keep it for three days, and flowers in the cold room. For schools and companies we send an invoice at the end of the month, with one line for each delivery.

If nobody is at home, we try once more on the same day at no cost. For the third attempt we charge shipping again. Flowers that come back are kept in the cold room for a day; after that we cannot promise that they are fresh, and you choose between a new bouquet at half the price and a voucher. For blocks of flats, please tell us who can take the flowers at the door.`,
  },
  {
    id: "payment",
    metadata: { tag: "payment", group: "finance" },
    content: "We take credit cards in up to three instalments, debit cards, bank transfers, and cash in the shop.",
  },
  {
    id: "opening-hours",
    metadata: { tag: "hours", group: "shop" },
    content:
      "The shop is open from 8 to 18 on weekdays and from 8 to 13 on Saturdays. There is parking for customers behind it.",
  },
  {
    id: "plant-care",
    metadata: { tag: "care", group: "garden" },
    content: "Sunflowers in pots need six hours of sun a day. Orchids prefer indirect light and water once a week.",
  },
];
/** What must not be seen: codes, fields, and what JavaScript makes of a missing value. */
const RAW =
  /\b(?:undefined|null|NaN|trainingId|chunkId|updatedAt|idType|textSearch|vectorIndex|TypeError|(?!DATABASE_URL)[A-Z]{3,}_[A-Z_]{3,})\b|\[object|Error:/;

/** How each state is looked at. */
const LOOKS = [
  { look: "light", locale: "pt-BR", colorScheme: "light", viewport: { width: 1200, height: 900 } },
  { look: "dark", locale: "en-US", colorScheme: "dark", viewport: { width: 390, height: 844 } },
] as const;

const { english, portuguese } = await allTexts();
/** Texts of one language that the other does not have. */
const foreign = {
  "en-US": Object.values(portuguese).filter((text) => !Object.values(english).includes(text)),
  "pt-BR": Object.values(english).filter((text) => !Object.values(portuguese).includes(text)),
};

describe.skipIf(!hasChromium)("in Chromium", () => {
  describeOnEmbedded("each state of the console's page", (database) => {
    const filled = filledIndex(database, ({ index }) => Promise.resolve(index.upsertTrainings(trainings)), {
      textSearch: "portuguese",
    });
    let browser: Browser;
    beforeAll(async () => {
      browser = await launch();
    });
    afterAll(() => browser.close());

    async function address(
      open: () => Promise<Opened>,
      {
        writable = true,
        schema = "loja",
        questions = SAMPLES,
      }: { writable?: boolean; schema?: string; questions?: string[] } = {},
    ): Promise<string> {
      const running = await serve({ open, schema, writable, questions });
      onTestFinished(() => running.close());
      return running.url;
    }

    /**
     * Brings a page into a state, and looks at it in each of the {@link LOOKS}: it is checked, and a screenshot is written.
     *
     * @returns the texts that were seen
     */
    async function look(
      name: string,
      url: string,
      act: (page: Page) => Promise<unknown> = () => Promise.resolve(),
      looks: readonly (typeof LOOKS)[number][] = LOOKS,
    ): Promise<string> {
      const page = await openPage(browser, url);
      await act(page);
      await settled(page);
      const seen: string[] = [];
      for (const { look, locale, colorScheme, viewport } of looks) {
        const title = `${name}, ${look}`;
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize(viewport);
        await chooseLanguage(page, locale);
        expect(await violations(page, seen.length > 0), title).toEqual([]);
        expect(await contentWidth(page), title).toBe(viewport.width);
        const texts = await shownTexts(page);
        const wrong = texts.filter((text) => RAW.test(text) || foreign[locale].includes(text));
        expect(wrong, title).toEqual([]);
        expect((await stat(await screenshot(page, `${name}-${look}`))).size).toBeGreaterThan(2_000);
        seen.push(...texts);
      }
      return seen.join("\n");
    }

    const view =
      (name: "trainings" | "status") =>
      async (page: Page): Promise<void> => {
        await page.locator(`#show-${name}`).click();
        await settled(page);
      };
    const training = async (page: Page): Promise<void> => {
      await view("trainings")(page);
      await page.locator("#list button").first().click();
      await page.locator("#training-body h3").waitFor();
    };
    const editor = async (page: Page): Promise<void> => {
      await training(page);
      await page.locator("#training-body .primary").click();
    };

    it("an index to ask: the start, the answers, no answer, a failure", async () => {
      const url = await address(() => Promise.resolve(openedOf(filled())));
      expect(await look("start", url)).toContain("Tudo em ordem");
      expect(await look("answers", url, (page) => ask(page, QUESTION))).toMatch(/encontrados em [\d,]+ ms/);
      const nothing = await look("no-answer", url, async (page) => {
        await page.locator('input[value="text"]').check();
        await ask(page, "zzzzzzzz qqqqqqq");
      });
      expect(nothing).toContain("Nothing found, in ");
      const { embeddings } = filled();
      const embedQuery = embeddings.embedQuery.bind(embeddings);
      embeddings.embedQuery = () => Promise.reject(new Error("texto secreto"));
      const failed = await look("search-failed", url, (page) => ask(page, QUESTION));
      embeddings.embedQuery = embedQuery;
      expect(failed).toContain("O modelo de embeddings não responde");
      expect(failed).not.toContain("secreto");
    });

    it("trainings: the list, one of them, the editor and what it says", async () => {
      const url = await address(() => Promise.resolve(openedOf(filled())));
      expect(await look("trainings", url, view("trainings"))).toContain("cuidados");
      expect(await look("training", url, training)).toContain("O Clube Girassol");
      expect(await look("editor", url, editor)).toContain("Dados para filtros");
      const unsaved = await look("unsaved", url, async (page) => {
        await editor(page);
        await page.locator("#edit-text").fill("Outra coisa.");
        await page.keyboard.press("Escape");
      });
      expect(unsaved).toContain("Your changes are not saved.");
      const confirming = await look("confirm", url, async (page) => {
        await training(page);
        await page.locator("#training-body .danger").click();
      });
      expect(confirming).toContain("Excluir clube?");
      const conflict = await look("conflict", url, async (page) => {
        await editor(page);
        await page.locator("#edit-text").fill("Meu texto.");
        await filled().index.upsertTraining({
          id: "clube",
          content: `O Clube Girassol mudou às ${performance.now()}.`,
        });
        await page.locator("#edit-save").click();
        await page.locator(".stored-text").waitFor();
      });
      expect(conflict).toContain("Someone else has changed this training");
      const taken = await look("id-taken", url, async (page) => {
        await view("trainings")(page);
        await page.locator("#new").click();
        await page.locator("#edit-id").fill("trocas");
        await page.locator("#edit-text").fill("Outro texto.");
        await page.locator("#edit-save").click();
        await page.locator("#edit-message .bad").waitFor();
      });
      expect(taken).toContain("Já existe um treinamento com este id");
    });

    it("a read-only console", async () => {
      const url = await address(() => Promise.resolve(openedOf(filled())), { writable: false });
      expect(await look("read-only", url, training)).not.toMatch(/Editar|Excluir|\bEdit\b|Delete/);
    });

    it("the status, fine and with every warning that there is", async () => {
      const url = await address(() => Promise.resolve(openedOf(filled())));
      expect(await look("status", url, view("status"))).toContain("Tudo em ordem. Não há nada a fazer.");
      const warned = await address(() =>
        Promise.resolve(
          withStatus(openedOf(filled()), (status) => ({
            ...status,
            counts: { trainings: 1_234_567, chunks: 9_876_543, tombstones: 12, exact: false },
            vectorIndex: {
              ...status.vectorIndex,
              valid: false,
              build: { phase: "building index", progress: 0.42 },
              use: "notUsable",
            },
            textSearch: undefined,
            otherModel: { name: "bge-m3", dimensions: 1024, state: "building", behind: 1234, createdAt: new Date() },
            server: { ...status.server, isStandby: true },
            warnings: [...statusWarningCodes, "OF_A_LATER_VERSION" as "DEAD_ROWS"].map((code) => ({
              code,
              message: "raw message",
            })),
          })),
        ),
      );
      const texts = await look("warnings", warned, view("status"));
      for (const code of [...statusWarningCodes, "other"]) {
        expect(texts).toContain(portuguese[`warning.${code}`]);
        expect(texts).toContain(english[`warning.${code}`]);
      }
      expect(texts).toContain("being moved to the model bge-m3: 1,234 trainings are left");
      expect(texts).toContain("about 1,234,567");
      expect(texts).toContain("42% desta etapa");
      expect(texts).not.toContain("raw message");
      // Without a search by words only the meaning can be searched.
      const page = await openPage(browser, warned);
      expect(
        await page
          .locator('input[name="mode"]:enabled')
          .evaluateAll((inputs) => inputs.map((input) => (input as { value: string }).value)),
      ).toEqual(["vector"]);
      await ask(page, "Quanto custa o frete?");
      expect(await page.locator("#hits .hit").count()).toBeGreaterThan(0);
    });

    it("an empty index", async () => {
      const test = await openTestIndex(database, {}, { textSearch: "portuguese" });
      for (const writable of [true, false]) {
        const url = await address(() => Promise.resolve(openedOf(test)), { writable });
        const texts = await look(writable ? "empty" : "empty-read-only", url);
        expect(texts).toContain("Este índice está vazio");
        expect(texts).toContain(`npx training-index ingest docs --schema ${test.schema}`);
      }
    });

    it("a training of which a part is missing", async () => {
      const test = await openTestIndex(database);
      const content = Array.from({ length: 8 }, (_, number) => `Parágrafo ${number}: ${"texto ".repeat(100)}`).join(
        "\n\n",
      );
      await test.index.upsertTraining({ id: "longo", content });
      await test.owner.query(`DELETE FROM ${test.schema}.chunk_1 WHERE content LIKE 'Parágrafo 3%'`);
      const url = await address(() => Promise.resolve(openedOf(test)));
      const texts = await look("damaged-training", url, training);
      expect(texts).toContain("Falta uma parte deste treinamento");
      expect(texts).not.toContain("Editar");
    });

    it.each([
      ["missing", "Ainda não há um índice aqui", "npx training-index migrate --schema loja", () => Promise.resolve()],
      ["newer", "O índice é de uma versão mais nova", "npm install langchain-training-index@latest", newer],
      ["damaged", "O índice está danificado", "npx training-index migrate --schema loja", damaged],
    ])("an index that is %s", async (name, heading, command, change) => {
      const url = await address(() => reopened(database, name === "missing" ? undefined : change));
      const texts = await look(name, url, undefined, LOOKS.slice(0, 1));
      expect(texts).toContain(heading);
      expect(texts).toContain(command);
    });

    it("a database that cannot be reached, and then can", async () => {
      const dead = new pg.Pool({ connectionString: "postgres://root:secret@127.0.0.1:1/x" });
      onTestFinished(() => dead.end());
      let isDown = true;
      const url = await address(async () => {
        if (!isDown) return openedOf(filled());
        const index = await TrainingIndex.initialize(new CountingEmbeddings(), { pool: dead });
        return { index, pool: dead, schema: "loja", idType: "text" };
      });
      const texts = await look("unreachable", url);
      expect(texts).toContain("O banco de dados não responde");
      expect(texts).not.toContain("secret");
      const page = await openPage(browser, url);
      isDown = false;
      await page.getByRole("button", { name: "Tentar de novo" }).click();
      await page.locator("#glance").getByText("Tudo em ordem").waitFor();
    });

    it("an index that fails while the page is open, and a console that has ended", async () => {
      const opened = openedOf(filled());
      const failure = new DatabaseError("down", { code: "CONNECTION_FAILED", retryable: true });
      let isDown = false;
      const url = await address(() =>
        Promise.resolve({
          ...opened,
          index: new Proxy(opened.index, {
            get: (index, name) => {
              if (isDown && name === "list") throw failure;
              const value: unknown = Reflect.get(index, name, index);
              return typeof value === "function" ? (value.bind(index) as unknown) : value;
            },
          }),
        }),
      );
      const page = await openPage(browser, url);
      isDown = true;
      await page.locator("#show-trainings").click();
      await page.locator("#list .bad").waitFor();
      expect(await violations(page)).toEqual([]);
      isDown = false;
      await page.locator("#list").getByRole("button", { name: "Tentar de novo" }).click();
      await page.locator("#list .row").first().waitFor();

      const ended = await serve({ open: () => Promise.resolve(opened), schema: "loja", writable: true });
      const left = await openPage(browser, ended.url);
      await ended.close();
      await left.locator("#question").fill(QUESTION);
      await left.keyboard.press("Enter");
      await left.getByText("O console não responde").waitFor();
      expect(await violations(left)).toEqual([]);
    });

    it("an address without the token", async () => {
      const url = await address(() => Promise.resolve(openedOf(filled())));
      expect(await look("no-token", url.replace(/#.*/, ""), undefined, LOOKS.slice(0, 1))).toContain(
        "Este endereço está incompleto",
      );
    });

    it("the screenshots of the README, in both languages", async () => {
      const english = await openTestIndex(database, {}, { textSearch: "english" });
      await english.index.upsertTrainings(ENGLISH_TRAININGS);
      for (const { name, locale, test, questions } of [
        { name: "console", locale: "en-US", test: english, questions: ENGLISH_QUESTIONS },
        { name: "console.pt-BR", locale: "pt-BR", test: filled(), questions: SAMPLES },
      ]) {
        const renamed = withStatus(openedOf(test), (status) => ({
          ...status,
          schema: { ...status.schema, name: "training_index" },
        }));
        const url = await address(() => Promise.resolve(renamed), { writable: false, questions });
        const page = await openPage(browser, url, { locale, viewport: { width: 1100, height: 1120 } });
        await ask(page, questions[0] ?? "");
        expect(await page.locator("#hits .hit mark").count()).toBeGreaterThan(2);
        await page.locator("#found").click(); // the field loses its focus
        expect((await stat(await screenshot(page, name))).size).toBeGreaterThan(20_000);
      }
    });
  });
});

/** Chooses a language, behind a dialog too. */
async function chooseLanguage(page: Page, locale: string): Promise<void> {
  await page.evaluate(`{
    const select = document.querySelector("#language");
    select.value = ${JSON.stringify(locale.slice(0, 2))};
    select.dispatchEvent(new Event("change"));
  }`);
}

/** The index with another status than it has. */
function withStatus(opened: Opened, change: (status: IndexStatus) => IndexStatus): Opened {
  const { index } = opened;
  const other = new Proxy(index, {
    get: (target, name) => {
      if (name === "status") return async () => change(await index.status());
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { ...opened, index: other };
}

/** Opens an index on a schema of its own, after it has been changed; without a change the schema does not exist. */
async function reopened(
  { pool, owner }: TestDatabase,
  change: ((owner: pg.Pool, schema: string) => Promise<unknown>) | undefined,
): Promise<Opened> {
  const schema = uniqueName();
  if (change) {
    await migrate(owner, { schema, dimensions: 64 });
    await change(owner, schema);
  }
  try {
    const index = await TrainingIndex.initialize(new CountingEmbeddings(64), { pool, schema });
    return { index, pool, schema, idType: "text" };
  } finally {
    await owner.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  }
}

function newer(owner: pg.Pool, schema: string): Promise<unknown> {
  return owner.query(`INSERT INTO ${schema}.migration (version, name, breaking) VALUES (99, 'future', true)`);
}

function damaged(owner: pg.Pool, schema: string): Promise<unknown> {
  return owner.query(`DROP TABLE ${schema}.indexed_1`);
}
