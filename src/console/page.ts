import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The page, complete with its style and script. */
export interface ConsolePage {
  html: string;
  /** The value of `Content-Security-Policy`: nothing runs but the style and the script of the page. */
  policy: string;
}

/** The modules of the script, each behind those that it imports. */
export const PAGE_SCRIPTS = [
  "texts-en.js",
  "texts-pt.js",
  "language.js",
  "elements.js",
  "calls.js",
  "overview.js",
  "passages.js",
  "search.js",
  "editor.js",
  "training.js",
  "trainings.js",
  "status.js",
  "main.js",
];

const IMPORT = /^import [^;]*;\n/gm;
const EXPORT = /^export /gm;
/** Indentation, and comments that are lines of their own: a fifth of the page. None of its texts spans several lines. */
const UNNEEDED = /^\s*(?:\/\/.*\n|\/\*\*[^]*?\*\/\n)?\s*/gm;

/**
 * Makes one file of the page, so that the browser needs a single request. The modules import names of each other as they are, so
 * behind each other they are one module.
 *
 * @param folder - the files of the page: `src/console/page`, or where the build has put them
 */
export async function readPage(folder: string): Promise<ConsolePage> {
  const read = (name: string): Promise<string> => readFile(join(folder, name), "utf8");
  const [html, css, ...modules] = await Promise.all([read("page.html"), read("page.css"), ...PAGE_SCRIPTS.map(read)]);
  const style = css.replace(UNNEEDED, "");
  const script = modules.map((text) => text.replace(IMPORT, "").replace(EXPORT, "").replace(UNNEEDED, "")).join("");
  return {
    html: html
      .replace("<style></style>", () => `<style>${style}</style>`)
      .replace('<script type="module"></script>', () => `<script type="module">${script}</script>`),
    policy: policyOf(style, script),
  };
}

function policyOf(style: string, script: string): string {
  return [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
