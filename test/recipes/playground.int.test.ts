import { access, mkdtemp, rm, stat } from "node:fs/promises";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "@hono/node-server";
import { TrainingIndex } from "langchain-training-index";
import { embeddedPool } from "langchain-training-index/embedded";
import { migrate } from "langchain-training-index/migrations";
import { HashingEmbeddings } from "langchain-training-index/testing";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { playgroundApp } from "../../examples/playground/app.js";
import { createTable, saveTraining } from "../../examples/playground/trainings.js";
import { trainings } from "../../examples/support/trainings.js";

const MINUTE = 60_000;

/** Debian's Chromium; `CHROMIUM_PATH` names another one. */
const CHROMIUM = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium";
const hasChromium = await access(CHROMIUM).then(
  () => true,
  () => false,
);
if (!hasChromium) {
  const message = `${CHROMIUM} is not there: the playground is not tested in a browser (apt-get install chromium)`;
  if (process.env["CI"] === "true") throw new Error(message);
  console.warn(message);
}

/** Where to save the screenshot: `PLAYGROUND_SCREENSHOT=docs/playground.png`. */
const SCREENSHOT = process.env["PLAYGROUND_SCREENSHOT"];

describe.skipIf(!hasChromium)("the playground, in Chromium", () => {
  let browser: Browser | undefined;
  let url = "";
  const ends: (() => unknown)[] = [];

  beforeAll(async () => {
    const pool = embeddedPool();
    await migrate(pool, { textSearch: "portuguese" });
    const index = await TrainingIndex.initialize(new HashingEmbeddings(), { pool });
    await createTable(pool);
    for (const { id, content, metadata } of trainings) {
      await saveTraining(pool, index, { id, ...metadata, conteudo: content, finalizado: true });
    }
    const server = serve({ fetch: playgroundApp(pool, index).fetch, port: 0 });
    await once(server, "listening");
    url = `http://localhost:${(server.address() as AddressInfo).port}`;
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
    ends.push(
      () => browser?.close(),
      () => server.close(),
      () => pool.end(),
    );
  }, MINUTE);
  afterAll(async () => {
    for (const end of ends) await end();
  });

  /** Opens the page. Console errors and dialogs fail the test. */
  async function openPage(options: Parameters<Browser["newPage"]>[0] = {}): Promise<Page> {
    if (!browser) throw new Error("the browser is there in tests only");
    const page = await browser.newPage({
      locale: "pt-BR",
      viewport: { width: 1200, height: 900 },
      ...options,
    });
    const problems: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("dialog", (dialog) => {
      problems.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    onTestFinished(async () => {
      await page.close();
      expect(problems).toEqual([]);
    });
    await page.goto(url);
    await page
      .getByRole("button", { name: "Editar: entregas" })
      .or(page.getByRole("button", { name: "Edit: entregas" }))
      .waitFor();
    return page;
  }

  async function search(page: Page, question: string): Promise<string[]> {
    await page.getByLabel("Pergunta").fill(question);
    await page.keyboard.press("Enter");
    await page.locator("#found").filter({ hasText: /\d/ }).waitFor();
    return page.locator("#hits li strong").allTextContents();
  }

  it("finds in each mode and strategy, marks the passage in its training and draws its score", async () => {
    const page = await openPage();
    for (const mode of ["hybrid", "vector", "text"]) {
      await page.getByLabel("Modo").selectOption(mode);
      expect((await search(page, "Qual é o frete de plantas com mais de um metro de altura?"))[0], mode).toBe(
        "entregas",
      );
      expect(await page.locator("#hits mark").first().textContent()).toContain("frete");
      const words = await page.locator("#hits mark em").allTextContents();
      expect(words.some((word) => /^frete$/i.test(word))).toBe(mode !== "vector");
      const bar = await page.locator("#hits .bar > div").first().boundingBox();
      expect(bar?.width).toBeGreaterThan(20);
    }
    expect(await page.locator("#hits li").first().textContent()).toContain("A Floricultura Girassol entrega");
    await page.getByLabel("Resultado").selectOption("trainings");
    for (const [mode, scores] of [
      ["hybrid", /score \d\.\d{3}, similarity \d\.\d{3}, coverage \d\.\d{3}/],
      ["vector", /score (\d\.\d{3}), similarity \1(?!, coverage)/],
      ["text", /score (\d\.\d{3}), coverage \1/],
    ] as const) {
      await page.getByLabel("Modo").selectOption(mode);
      const found = await search(page, "Qual é o frete de plantas com mais de um metro de altura?");
      expect(new Set(found).size).toBe(found.length);
      expect(found[0]).toBe("entregas");
      expect(await page.locator("#hits li").first().textContent()).toMatch(scores);
    }
  });

  it("edits, finalises and deletes, and shows how many chunks each save embedded and reused", async () => {
    const page = await openPage();
    const saved = page.locator("#saved");
    await page.getByRole("button", { name: "Editar: clube" }).click();
    const content = page.getByLabel("conteúdo");
    const before = await content.inputValue();
    await content.fill(`${before}\n\nO xilofone de brinde vai no primeiro pacote.`);
    await page.getByRole("button", { name: "Salvar" }).click();
    await saved.filter({ hasText: /clube: indexed; trechos \d+, vetorizados [12], reaproveitados \d+/ }).waitFor();
    await page.getByLabel("Modo").selectOption("text");
    expect(await search(page, "xilofone")).toEqual(["clube"]);

    await page.getByRole("button", { name: "Reabrir: clube" }).click();
    await saved.filter({ hasText: "clube: deleted" }).waitFor();
    expect(await search(page, "xilofone")).toEqual([]);
    await page.getByText("clube (rascunho)").waitFor();

    await page.getByRole("button", { name: "Finalizar: clube" }).click();
    await saved.filter({ hasText: "clube: indexed" }).waitFor();
    expect(await search(page, "xilofone")).toEqual(["clube"]);

    await page.getByRole("button", { name: "Excluir: clube" }).click();
    await saved.filter({ hasText: "clube: deleted" }).waitFor();
    expect(await search(page, "xilofone")).toEqual([]);
    expect(await page.getByRole("button", { name: "Editar: clube" }).count()).toBe(0);
  });

  it("works by keyboard alone, and cancelling the editor keeps the training as it was", async () => {
    const page = await openPage();
    await page.getByRole("button", { name: "Novo treinamento" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.type("estufa");
    for (const value of ["estufa", "loja", "A estufa abre às oito."]) {
      await page.keyboard.press("Tab");
      await page.keyboard.type(value);
    }
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator("#saved").filter({ hasText: "estufa: indexed; trechos 1, vetorizados 1" }).waitFor();
    await page.getByRole("button", { name: "Editar: estufa" }).focus();
    await page.keyboard.press("Enter");
    await page.getByLabel("conteúdo").fill("Outra coisa.");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await page.getByLabel("Modo").selectOption("text");
    expect(await search(page, "estufa")).toEqual(["estufa"]);
    expect(await page.locator("#hits mark").textContent()).toBe("A estufa abre às oito.");
  });

  it("shows HTML in a text as text", async () => {
    const page = await openPage();
    await page.getByRole("button", { name: "Novo treinamento" }).click();
    const evil = "<img src=x onerror=alert(1)> <script>alert(2)</script> tesoura";
    await page.getByLabel("id", { exact: true }).fill("mau");
    await page.getByLabel("tag").fill("<b>tag</b>");
    await page.getByLabel("conteúdo").fill(evil);
    await page.getByRole("button", { name: "Salvar" }).click();
    await page.locator("#saved").filter({ hasText: "mau: indexed" }).waitFor();
    await page.getByLabel("Modo").selectOption("text");
    expect(await search(page, "onerror")).toEqual(["mau"]);
    expect(await page.locator("#hits mark").textContent()).toBe(evil);
    expect(await page.locator("#hits img, #trainings img, #hits b").count()).toBe(0);
  });

  it("is available in Portuguese and English", async () => {
    const page = await openPage({ locale: "en-US" });
    await page.getByRole("heading", { name: "Search" }).waitFor();
    expect(await page.getAttribute("html", "lang")).toBe("en");
    await page.getByLabel("Language").selectOption("pt");
    await page.getByRole("heading", { name: "Buscar" }).waitFor();
    expect(await page.title()).toBe("Treinamentos");
    await page.getByRole("button", { name: "Editar: entregas" }).waitFor();
  });

  it("fits a phone screen", async () => {
    const page = await openPage({ viewport: { width: 360, height: 740 } });
    await search(page, "Qual é o frete de plantas com mais de um metro de altura?");
    const width = await page.evaluate("document.documentElement.scrollWidth");
    expect(width).toBeLessThanOrEqual(360);
  });

  it("can be saved as a screenshot", async () => {
    const folder = await mkdtemp(join(tmpdir(), "playground-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const path = SCREENSHOT ?? join(folder, "playground.png");
    const page = await openPage({ colorScheme: "light", viewport: { width: 1200, height: 800 } });
    await search(page, "Qual é o frete de plantas com mais de um metro de altura?");
    await page.screenshot({ path });
    expect((await stat(path)).size).toBeGreaterThan(20_000);
  });
});
