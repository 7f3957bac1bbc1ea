import type { CrashFigures, StoreFigures, StoreResults } from "./store-results.js";

/** The figures as tables of Markdown. */
export function storesMarkdown({ date, arguments: given, machine, leftOut, figures }: StoreResults): string {
  const command = ["npm run bench:stores --", ...given].join(" ");
  const sections = [
    `\`${command}\`, ${date.slice(0, 10)}, ${machine.processor}, ${machine.cores} cores. Times in milliseconds; p50, and in parentheses recall@10.`,
    table(
      [
        "chunks",
        "store",
        "load",
        "search",
        "filter 10 %",
        "filter 1 %",
        "replace 200 chunks",
        "delete them",
        "search after them",
      ],
      figures.map(performanceRow),
    ),
    table(
      ["chunks", "store", "killed while it replaced", "what the index contains then", "reopened and searched"],
      figures.map(({ chunks, store, crash }) => [
        ...[`${chunks}`, store, `${crash.kills} times`, contents(crash)],
        rounded(crash.reopenMilliseconds),
      ]),
    ),
    ...leftOut.map((note) => `Left out: ${note}.`),
  ];
  return `${sections.join("\n\n")}\n`;
}

function performanceRow(figures: StoreFigures): string[] {
  const { chunks, store, loadSeconds, searches, replaceMilliseconds, deleteMilliseconds, searchAfterMilliseconds } =
    figures;
  return [
    ...[`${chunks}`, store, `${loadSeconds.toFixed(1)} s`],
    ...searches.map(({ p50, recallAt10 }) => `${rounded(p50)} (${recallAt10.toFixed(3)})`),
    ...[replaceMilliseconds, deleteMilliseconds, searchAfterMilliseconds].map(rounded),
  ];
}

function contents({ whole, gone, mixed, broken, notFound, error }: CrashFigures): string {
  return [
    whole > 0 ? `${whole} x one whole version` : "",
    gone > 0 ? `${gone} x **no chunk** of the training` : "",
    mixed > 0 ? `${mixed} x **parts** of versions, or an old one` : "",
    notFound > 0 ? `${notFound} x a version that searches **do not find**` : "",
    broken > 0 ? `${broken} x **cannot be opened** (${error ?? ""})` : "",
  ]
    .filter((part) => part !== "")
    .join(", ");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function rounded(milliseconds: number): string {
  return milliseconds.toFixed(milliseconds < 10 ? 2 : milliseconds < 100 ? 1 : 0);
}
