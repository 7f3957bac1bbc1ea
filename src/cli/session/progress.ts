import type { Output } from "./terminal.js";

const BAR_WIDTH = 30;
/** How often a bar is drawn, and how often a log gets a line. */
const INTERVALS_MS = { terminal: 100, log: 5_000 };

/** Shows how far a command is: a bar on a terminal, elsewhere a line every five seconds. */
export class Progress {
  readonly #output: Output;
  readonly #done: string;
  #total: number | undefined;
  readonly #intervalMs: number;
  #shownAt = performance.now();
  #isDrawn = false;

  /** @param done - what is counted: `verified` @param total - `undefined` if it is not known yet */
  constructor(output: Output, done: string, total: number | undefined) {
    this.#output = output;
    this.#done = done;
    this.#total = total;
    this.#intervalMs = output.isTTY ? INTERVALS_MS.terminal : INTERVALS_MS.log;
  }

  /** @param detail - what else to show @param total - once it is known */
  update(count: number, detail = "", total = this.#total): void {
    this.#total = total;
    const now = performance.now();
    if (now - this.#shownAt < this.#intervalMs) return;
    this.#shownAt = now;
    const of = this.#total === undefined ? "" : ` of ${this.#total}`;
    const line = `${this.#done} ${count}${of}${detail && `, ${detail}`}`;
    if (!this.#output.isTTY) {
      this.#output.write(`${line}\n`);
      return;
    }
    const text = this.#total === undefined ? line : `${bar(count / this.#total)} ${line}`;
    this.#isDrawn = true;
    this.#output.write(`\r\x1b[K${text.slice(0, (this.#output.columns ?? 80) - 1)}`);
  }

  /** Removes the bar. */
  end(): void {
    if (this.#isDrawn) this.#output.write("\r\x1b[K");
  }
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, share) * BAR_WIDTH);
  return `[${"#".repeat(full)}${" ".repeat(BAR_WIDTH - full)}]`;
}
