/** Chromium for the tests of the console's page, and what every test looks at. */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import type { ConsoleOptions } from "../../src/console/console-handler.js";
import type { Opened } from "../../src/console/open-index.js";
import { readPage } from "../../src/console/page.js";
import { startConsole, type RunningConsole } from "../../src/console/server.js";
import type { TestIndex } from "../support/index.js";

/** The files of the page. */
export const PAGE_FOLDER = fileURLToPath(new URL("../../src/console/page", import.meta.url));

/** Debian's Chromium; the one without windows needs half of the time. `CHROMIUM_PATH` names another one. */
const PATHS =
  process.env["CHROMIUM_PATH"] === undefined
    ? ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"]
    : [process.env["CHROMIUM_PATH"]];
const CHROMIUM = PATHS.find((path) => existsSync(path));

/** Whether there is a Chromium. Without one, the tests in it are skipped, but not in CI. */
export const hasChromium = CHROMIUM !== undefined;
if (!hasChromium) {
  const message = `there is no ${PATHS.join(" or ")}: the console is not tested in a browser (apt-get install chromium-headless-shell)`;
  if (process.env["CI"] === "true") throw new Error(message);
  console.warn(message);
}

/** Where the tests write screenshots; `CONSOLE_SCREENSHOTS=docs` renews those of the README. */
const SCREENSHOTS =
  process.env["CONSOLE_SCREENSHOTS"] ?? fileURLToPath(new URL("../../node_modules/.cache/console", import.meta.url));

/** Writes a screenshot of what is visible. @returns its path */
export async function screenshot(page: Page, name: string): Promise<string> {
  await mkdir(SCREENSHOTS, { recursive: true });
  const path = join(SCREENSHOTS, `${name}.png`);
  await page.screenshot({ path, animations: "disabled" });
  return path;
}

/** Starts Chromium. */
export function launch(): Promise<Browser> {
  return chromium.launch({ ...(CHROMIUM === undefined ? {} : { executablePath: CHROMIUM }), args: ["--no-sandbox"] });
}

/** The index of a test, as the console opens it. */
export function openedOf({ index, pool, schema }: Pick<TestIndex, "index" | "pool" | "schema">): Opened {
  return { index, pool, schema, idType: "text" };
}

/** Starts a console on any free port. */
export async function serve(options: Omit<ConsoleOptions, "page">): Promise<RunningConsole> {
  return startConsole({ ...options, page: await readPage(PAGE_FOLDER) }, 0);
}

/** Errors that the browser itself logs about a response with an error status, which some tests expect. */
const STATUS_LINE = /Failed to load resource: the server responded with a status of \d+/;

/** Opens a page. What the browser reports as an error, except refused requests, fails the test. */
export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({
    locale: "pt-BR",
    viewport: { width: 1200, height: 900 },
    reducedMotion: "reduce",
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const problems: string[] = [];
  page.on("console", (message) => {
    const isExpected = STATUS_LINE.test(message.text()) || message.text().includes("ERR_CONNECTION_REFUSED");
    if (message.type() === "error" && !isExpected) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("dialog", (dialog) => {
    problems.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  onTestFinished(async () => {
    await context.close();
    expect(problems).toEqual([]);
  });
  await page.goto(url);
  await page.locator("#content:not([hidden]), #trouble:not([hidden])").waitFor();
  return page;
}

/** Asks a question, and waits for the answer. */
export async function ask(page: Page, question: string): Promise<void> {
  await page.locator("#question").fill(question);
  await page.keyboard.press("Enter");
  await settled(page);
}

/** Waits until nothing is being read. */
export async function settled(page: Page): Promise<void> {
  await expect.poll(() => page.locator("[aria-busy='true']").count(), { timeout: 20_000 }).toBe(0);
}

interface Violation {
  id: string;
  nodes: { target: string[]; failureSummary: string }[];
}

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ALL_RULES = { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] };
/** Of these, the rules whose outcome colours and the width can change. */
const RULES_OF_LOOKS = { type: "rule", values: ["color-contrast", "link-in-text-block", "target-size"] };

/**
 * What the accessibility checker finds of WCAG A and AA. Its script is not part of the page, so its policy does not apply.
 *
 * @param isOtherLook - whether all has been checked already, in other colours and at another width
 */
export async function violations(page: Page, isOtherLook = false): Promise<string[]> {
  if ((await page.evaluate("typeof axe")) === "undefined") await page.evaluate(axe);
  const found = await page.evaluate<Violation[]>(
    `axe.run(document, { runOnly: ${JSON.stringify(isOtherLook ? RULES_OF_LOOKS : ALL_RULES)}, resultTypes: ["violations"] }).then(({ violations }) => violations)`,
  );
  return found.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.target.join(" ")}: ${node.failureSummary}`),
  );
}

/** The texts that a person sees, or a screen reader says. */
export function shownTexts(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`(() => {
    const texts = [];
    const root = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    for (let node = walker.currentNode; node; node = walker.nextNode()) {
      if (node.nodeType === Node.ELEMENT_NODE) {
        if (node.ariaLabel && node.checkVisibility()) texts.push(node.ariaLabel);
      } else if (node.parentElement.checkVisibility() && !node.parentElement.closest("script, style, noscript, option")) {
        texts.push(node.data.trim());
      }
    }
    return texts.filter((text) => text !== "");
  })()`);
}

/** How wide the content is, at least the window. */
export function contentWidth(page: Page): Promise<number> {
  return page.evaluate<number>("document.documentElement.scrollWidth");
}
