/** The console's page in Chromium: what a person does with it. */
import type { TrainingIndex } from "langchain-training-index";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RunningConsole } from "../../src/console/server.js";
import { trainings } from "../../examples/support/trainings.js";
import { describeOnEmbedded } from "../support/databases.js";
import { sharedIndex } from "../support/index.js";
import { ask, contentWidth, hasChromium, launch, openedOf, openPage, serve, settled } from "./browser.js";

const QUESTION = "Qual é o frete de plantas com mais de um metro de altura?";
const EVIL = '<img src=x onerror=alert(1)> <script>alert(2)</script> tesoura "de poda"';
const EVIL_ID = '"><script>alert(1)</script>/../?a=b#c%20🌻';

describe.skipIf(!hasChromium)("in Chromium", () => {
  describeOnEmbedded("the console's page", (database) => {
    const test = sharedIndex(database, { textSearch: "portuguese" });
    let browser: Browser;
    let writing: RunningConsole;
    let reading: RunningConsole;

    beforeAll(async () => {
      browser = await launch();
      const { schema } = test();
      const open = (): ReturnType<Parameters<typeof serve>[0]["open"]> => Promise.resolve(openedOf(test()));
      writing = await serve({ open, schema, writable: true });
      reading = await serve({ open, schema, writable: false });
    });
    afterAll(async () => {
      await Promise.all([writing.close(), reading.close()]);
      await browser.close();
    });
    beforeEach(async () => {
      await test().index.upsertTrainings(trainings);
    });

    const index = (): TrainingIndex => test().index;
    const open = (options: Parameters<typeof openPage>[2] = {}): Promise<Page> =>
      openPage(browser, writing.url, options);

    async function openTrainings(page: Page): Promise<void> {
      await page.getByRole("button", { name: "Treinamentos", exact: true }).click();
      await page.locator("#list .row").first().waitFor();
    }

    async function openTraining(page: Page, id: string): Promise<void> {
      await openTrainings(page);
      await page
        .locator("#list")
        .getByRole("button", { name: `Abrir o treinamento ${id}` })
        .click();
      await page.locator("#training-body h3").waitFor();
    }

    it("finds in each mode, groups by training, marks words, explains scores and says how long it took", async () => {
      const page = await open();
      await ask(page, QUESTION);
      const scores = {
        hybrid: /Significado\s*\d+%, .+Palavras\s*\d+%, /s,
        vector: /Significado\s*\d+%, (?!.*Palavras)/s,
        text: /^Palavras\s*\d+%, /s,
      };
      for (const [mode, expected] of Object.entries(scores)) {
        await page.locator(`input[value="${mode}"]`).check();
        await settled(page);
        expect(await page.locator("#found").textContent()).toMatch(/^\d treinamentos? encontrados? em [\d.,]+ ms$/);
        const first = page.locator("#hits .hit").first();
        expect(await first.locator("h3").textContent(), mode).toBe("entregas");
        expect(await first.locator("blockquote").first().textContent()).toMatch(/^O frete custa/);
        expect((await first.locator(".scores").first().textContent())?.trim()).toMatch(expected);
        const marks = await first.locator("mark").allTextContents();
        expect(
          marks.some((word) => /^frete$/i.test(word)),
          mode,
        ).toBe(mode !== "vector");
        const ids = await page.locator("#hits .hit h3").allTextContents();
        expect(new Set(ids).size).toBe(ids.length);
      }
    });

    it("shows a passage with one paragraph around it, and not the whole training", async () => {
      const page = await open();
      await ask(page, QUESTION);
      const best = page.locator("#hits .hit").first().locator(".passage").first();
      const [before = "", after = ""] = await best.locator(".context").allTextContents();
      expect(before).toMatch(/^… .*próxima entrega\.$/s);
      expect(after).toMatch(/^Se o destinatário.* …$/s);
      expect(before.length).toBeLessThan(340);
      expect(await best.textContent()).not.toContain("código de rastreamento");
    });

    it("says which word it read another word as", async () => {
      const page = await open();
      await ask(page, "Qual é o prazzo do boletto?");
      expect(await page.locator("#corrections").textContent()).toContain("Nenhum treinamento tem “boletto”");
    });

    it("answers once, however often Enter is pressed, and a newer question takes the place of an older one", async () => {
      const page = await open();
      let asked = 0;
      await page.route("**/search", async (route) => {
        asked += 1;
        // The first answers come last: they must not replace the newest.
        await new Promise((resolve) => setTimeout(resolve, asked < 4 ? 600 : 0));
        await route.continue().catch(() => undefined);
      });
      await page.locator("#question").fill("Posso pagar com Pix?");
      for (let press = 0; press < 3; press += 1) await page.keyboard.press("Enter");
      await page.locator("#question").fill("A loja abre aos sábados?");
      await page.keyboard.press("Enter");
      await settled(page);
      expect(asked).toBe(4);
      expect(await page.locator("#hits .hit h3").first().textContent()).toBe("horarios");
      const count = await page.locator("#hits .hit").count();
      await page.waitForTimeout(800);
      expect(await page.locator("#hits .hit h3").first().textContent()).toBe("horarios");
      expect(await page.locator("#hits .hit").count()).toBe(count);
    });

    it("offers questions to begin with, and the first trainings", async () => {
      const page = await open();
      expect(await page.locator("#first .row").count()).toBe(4);
      const question = page.locator("#samples button").first();
      const text = await question.textContent();
      await question.click();
      await settled(page);
      expect(await page.locator("#question").inputValue()).toBe(text);
      expect(await page.locator("#hits .hit").count()).toBeGreaterThan(0);
      expect(await page.locator("#first").isVisible()).toBe(false);
    });

    it("pages through the trainings, and finds them by the beginning of the id and by words", async () => {
      const many = Array.from({ length: 60 }, (_, number) => ({
        id: `faq/${String(number).padStart(3, "0")}`,
        content: `Pergunta ${number} sobre hortênsias.`,
      }));
      await index().upsertTrainings(many);
      const page = await open();
      await openTrainings(page);
      const ids = (): Promise<string[]> => page.locator("#list .row h3").allTextContents();
      const seen = await ids();
      const next = page.getByRole("button", { name: "Próxima página" });
      while (await next.isEnabled()) {
        await next.click();
        await settled(page);
        seen.push(...(await ids()));
      }
      expect(await page.locator("#page").textContent()).toBe("Página 3");
      expect(seen).toEqual([...trainings, ...many].map(({ id }) => id).sort());
      await page.getByRole("button", { name: "Página anterior" }).click();
      await settled(page);
      expect(await ids()).toEqual(seen.slice(25, 50));

      await page.locator("#find-query").fill("faq/05");
      await page.keyboard.press("Enter");
      await settled(page);
      expect(await ids()).toEqual(seen.filter((id) => id.startsWith("faq/05")));
      await page.locator("#find-query").fill("nada/");
      await page.keyboard.press("Enter");
      await settled(page);
      expect(await page.locator("#list-note").textContent()).toBe("Nenhum id começa com “nada/”.");

      await page.getByLabel("Palavras do texto").check();
      await page.locator("#find-query").fill("orquídeas regadas");
      await page.keyboard.press("Enter");
      await settled(page);
      expect(await ids()).toEqual(["cuidados"]);
      expect(await page.locator("#list mark").allTextContents()).toContain("Orquídeas");
      await page.getByRole("button", { name: "Mostrar todos" }).click();
      await settled(page);
      expect((await ids()).length).toBe(25);
    });

    it("creates, edits and deletes, and says what each save sent to the model", async () => {
      const page = await open();
      await openTrainings(page);
      await page.getByRole("button", { name: "Novo treinamento" }).click();
      await page.locator("#edit-id").fill("estufa");
      await page.locator("#edit-text").fill("A estufa abre às oito.");
      await page.getByRole("button", { name: "Adicionar dados" }).click();
      await page.getByLabel("Nome 1").fill("grupo");
      await page.getByLabel("Valor 1").fill("loja");
      await page.getByRole("button", { name: "Salvar", exact: true }).click();
      await page
        .getByText("Ele tem 1 trecho: 1 foi enviado ao modelo, 0 foram reaproveitados.")
        .waitFor({ state: "attached" });
      expect(await index().get("estufa")).toMatchObject({ metadata: { grupo: "loja" }, chunks: 1 });

      await page.getByRole("button", { name: "Editar" }).click();
      await page.locator("#edit-text").fill("A estufa abre às nove.");
      await page.getByRole("button", { name: "Salvar", exact: true }).click();
      await page.getByText("1 antigo foi removido.").waitFor({ state: "attached" });
      await page.locator(".whole-text").getByText("às nove").waitFor();

      await page.getByRole("button", { name: "Excluir" }).click();
      await page.getByRole("button", { name: "Manter" }).click();
      expect(await index().get("estufa")).toBeDefined();
      await page.getByRole("button", { name: "Excluir" }).click();
      expect(await page.locator("#confirm").textContent()).toContain("Excluir estufa?");
      await page.getByRole("button", { name: "Excluir mesmo" }).click();
      await page.getByText("“estufa” foi excluído.").waitFor();
      await settled(page);
      expect(await index().get("estufa")).toBeUndefined();
      expect(await page.locator("#list h3").allTextContents()).not.toContain("estufa");
    });

    it("reuses what was not edited, and keeps the types of data that was not touched", async () => {
      const metadata = { grupo: "logistica", ano: 2026, ativo: true, tags: ["a", "b"] };
      await index().upsertTraining({ id: "entregas", content: trainings[0]?.content ?? "", metadata });
      const page = await open();
      await openTraining(page, "entregas");
      await page.getByRole("button", { name: "Editar" }).click();
      const area = page.locator("#edit-text");
      await area.fill(`${await area.inputValue()}\n\nO xilofone de brinde vai no primeiro pacote.`);
      await page.getByLabel("Valor 1").fill("2027"); // jsonb orders keys by their length
      await page.getByRole("button", { name: "Salvar", exact: true }).click();
      await page
        .getByText(/Ele tem \d trechos: [12] (?:foi enviado|foram enviados) ao modelo, [34] foram reaproveitados\./)
        .waitFor({ state: "attached" });
      expect((await index().get("entregas"))?.metadata).toEqual({ ...metadata, ano: 2027 });
    });

    it("overwrites no training that has the id already", async () => {
      const page = await open();
      await openTrainings(page);
      await page.getByRole("button", { name: "Novo treinamento" }).click();
      await page.locator("#edit-id").fill("clube");
      await page.locator("#edit-text").fill("Outra coisa.");
      await page.getByRole("button", { name: "Salvar", exact: true }).click();
      await page.getByText("Já existe um treinamento com este id").waitFor();
      expect(await page.locator("#edit-text").inputValue()).toBe("Outra coisa.");
      expect((await index().chunks("clube"))[0]?.content).toContain("O Clube Girassol");
    });

    it("shows the second of two people that the training has changed, and loses neither text", async () => {
      const [first, second] = await Promise.all([open(), open()]);
      for (const page of [first, second]) {
        await openTraining(page, "horarios");
        await page.getByRole("button", { name: "Editar" }).click();
      }
      await first.locator("#edit-text").fill("Abrimos às sete.");
      await first.getByRole("button", { name: "Salvar", exact: true }).click();
      await first.locator(".whole-text").getByText("às sete").waitFor();

      await second.locator("#edit-text").fill("Abrimos às dez.");
      await second.getByRole("button", { name: "Salvar", exact: true }).click();
      await second.getByText("Outra pessoa alterou este treinamento").waitFor();
      expect(await second.locator(".stored-text").textContent()).toBe("Abrimos às sete.");
      expect(await second.locator("#edit-text").inputValue()).toBe("Abrimos às dez.");
      expect((await index().chunks("horarios"))[0]?.content).toBe("Abrimos às sete.");

      // Once more: what the second person has now seen is replaced, and nothing newer.
      await index().upsertTraining({ id: "horarios", content: "Abrimos às onze." });
      await second.getByRole("button", { name: "Salvar o meu texto mesmo assim" }).click();
      await second.locator(".stored-text").getByText("Abrimos às onze.").waitFor();
      await second.getByRole("button", { name: "Salvar o meu texto mesmo assim" }).click();
      await second.locator(".whole-text").getByText("Abrimos às dez.").waitFor();
    });

    it("shows that a training was deleted while it was edited, or changed before it was deleted", async () => {
      const page = await open();
      await openTraining(page, "horarios");
      await index().upsertTraining({ id: "horarios", content: "Abrimos às onze." });
      await page.getByRole("button", { name: "Excluir" }).click();
      await page.getByRole("button", { name: "Excluir mesmo" }).click();
      await page.getByText("por isso ele não foi excluído").waitFor();
      await page.locator(".whole-text").getByText("Abrimos às onze.").waitFor();
      await page.getByRole("button", { name: "Editar" }).click();
      await page.locator("#edit-text").fill("Meu texto.");
      await index().deleteTraining("horarios");
      await page.getByRole("button", { name: "Salvar", exact: true }).click();
      await page.getByRole("button", { name: "Salvar como novo treinamento" }).click();
      await page.locator(".whole-text").getByText("Meu texto.").waitFor();
    });

    it("asks before it discards changes", async () => {
      const page = await open();
      await openTraining(page, "clube");
      await page.getByRole("button", { name: "Editar" }).click();
      await page.locator("#edit-text").fill("Outra coisa.");
      await page.keyboard.press("Escape");
      await page.getByText("Suas alterações não foram salvas.").waitFor();
      await page.keyboard.press("Escape");
      await page.getByText("Suas alterações não foram salvas.").waitFor();
      await page.getByRole("button", { name: "Continuar editando" }).click();
      expect(await page.locator("#edit-text").inputValue()).toBe("Outra coisa.");
      await page.getByRole("button", { name: "Cancelar" }).click();
      await page.getByRole("button", { name: "Descartar alterações" }).click();
      await page.locator(".whole-text").getByText("O Clube Girassol").waitFor();
    });

    it("works by keyboard alone", async () => {
      const page = await open();
      const { keyboard } = page;
      const tabTo = async (name: string): Promise<void> => {
        for (let presses = 0; presses < 60; presses += 1) {
          await keyboard.press("Tab");
          const focused = await page.evaluate<string>(
            "(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()",
          );
          if (focused === name) return;
        }
        throw new Error(`Tab does not reach ${name}`);
      };
      await tabTo("Treinamentos");
      await keyboard.press("Enter");
      await settled(page);
      await tabTo("Novo treinamento");
      await keyboard.press("Enter");
      await keyboard.type("estufa");
      await keyboard.press("Tab");
      await keyboard.type("A estufa abre às oito.");
      await tabTo("Salvar");
      await keyboard.press("Enter");
      await page.locator(".whole-text").getByText("às oito").waitFor();
      await tabTo("Excluir");
      await keyboard.press("Enter");
      await page.locator("#confirm").waitFor();
      await keyboard.press("Escape");
      await keyboard.press("Escape");
      await expect.poll(() => page.locator("dialog[open]").count()).toBe(0);
      expect(await index().get("estufa")).toBeDefined();
      expect(await page.evaluate("document.activeElement !== document.body")).toBe(true);
    });

    it("shows HTML as text, and takes ids with any characters", async () => {
      await index().upsertTraining({ id: EVIL_ID, content: EVIL, metadata: { "<b>tag</b>": "<i>valor</i>" } });
      const page = await open();
      await ask(page, "onerror tesoura");
      expect(await page.locator("#hits blockquote").first().textContent()).toBe(EVIL);
      await openTraining(page, EVIL_ID);
      expect(await page.locator(".whole-text").textContent()).toBe(EVIL);
      await page.getByRole("button", { name: "Editar" }).click();
      await page.locator("#edit-text").fill(`${EVIL} nova`);
      await page.getByRole("button", { name: "Salvar", exact: true }).click();
      await page.locator(".whole-text").getByText("nova").waitFor();
      expect(await page.locator("img, main b, main i, dialog b, dialog i, main script, dialog script").count()).toBe(0);
      await page.getByRole("button", { name: "Excluir" }).click();
      await page.getByRole("button", { name: "Excluir mesmo" }).click();
      await expect.poll(() => index().get(EVIL_ID)).toBeUndefined();
    });

    it("changes nothing in a read-only console, by the page or past it", async () => {
      const page = await openPage(browser, reading.url);
      expect(await page.locator("#access").textContent()).toBe("Somente leitura");
      await openTraining(page, "clube");
      expect(await page.getByRole("button", { name: /Editar|Excluir|Novo/ }).count()).toBe(0);
      const { origin, hash } = new URL(reading.url);
      for (const [path, body] of [
        ["store", { id: "novo", text: "Um texto.", metadata: {} }],
        ["delete", { id: "clube", version: "1" }],
      ] as const) {
        const response = await fetch(`${origin}/${path}`, {
          method: "POST",
          headers: { "Content-Type": "application/json", Authorization: `Bearer ${hash.slice(1)}` },
          body: JSON.stringify(body),
        });
        expect([response.status, await response.json()]).toEqual([403, { code: "READ_ONLY", schema: test().schema }]);
      }
      expect(await index().get("novo")).toBeUndefined();
      expect(await index().get("clube")).toBeDefined();
    });

    it("needs one request for its first paint, and keeps the token out of the address", async () => {
      const context = await browser.newContext();
      const page = await context.newPage();
      const requested: string[] = [];
      page.on("request", (request) => requested.push(`${request.method()} ${new URL(request.url()).pathname}`));
      await page.goto(writing.url);
      await page.locator("#content").waitFor();
      expect(requested).toEqual(["GET /", "POST /overview"]);
      expect(page.url()).not.toContain("#");
      await page.reload();
      await page.locator("#content").waitFor();
      await context.close();
    });

    it("has both languages, and keeps what was typed when the language changes", async () => {
      const page = await open({ locale: "en-US" });
      await page.getByRole("heading", { name: "Ask the index a question" }).waitFor();
      expect(await page.getAttribute("html", "lang")).toBe("en");
      await ask(page, QUESTION);
      await page.locator("#language").selectOption("pt");
      expect(await page.getAttribute("html", "lang")).toBe("pt-BR");
      expect(await page.title()).toBe("Console do índice de treinamentos");
      expect(await page.locator("#found").textContent()).toMatch(/encontrados? em/);
      expect(await page.locator("#question").inputValue()).toBe(QUESTION);
    });

    it.each([390, 1200])("does not scroll sideways at %i px", async (width) => {
      const page = await open({ viewport: { width, height: 844 } });
      await index().upsertTraining({
        id: "x".repeat(300),
        content: "y".repeat(900),
        metadata: { nome: "z".repeat(300) },
      });
      await ask(page, `${QUESTION} ${"y".repeat(900)}`);
      expect(await contentWidth(page)).toBe(width);
      await openTraining(page, "entregas");
      expect(
        await page.evaluate(
          "document.querySelector('#training').scrollWidth <= document.querySelector('#training').clientWidth",
        ),
      ).toBe(true);
      await page.getByRole("button", { name: "Editar" }).click();
      expect(await contentWidth(page)).toBe(width);
      await page.keyboard.press("Escape");
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Estado", exact: true }).click();
      await settled(page);
      expect(await contentWidth(page)).toBe(width);
    });
  });
});
