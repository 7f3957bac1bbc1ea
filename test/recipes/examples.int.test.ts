import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { bundleProgram } from "../support/bundle.js";
import { uniqueName } from "../support/databases.js";
import { newcomersEnvironment } from "../support/environment.js";

/** What each example prints, among other lines. The recipes that are not here have tests of their own. */
const PRINTED: [name: string, expected: string][] = [
  [
    "agent",
    `financeiro: No Pix há cinco por cento de desconto [1].
  success: [1] pagamentos 0-309
jardinagem: Não sei.
  error: 
  success: [1] cuidados 0-385`,
  ],
  ["bot", "Vou transferir você para um atendente. (hands over)"],
  [
    "conversation",
    `E a partir de quanto não pago?
  searched: Em que valor de compra o frete é grátis?
  Em compras acima de R$ 150,00 o frete é grátis [2].`,
  ],
  [
    "langgraph",
    `ai: No Pix há cinco por cento de desconto [1].
human: A loja abre aos sábados?
ai: Aos sábados a loja abre das 8 às 13 horas [1].
[1] horarios 0-280`,
  ],
  [
    "mcp",
    `stdio: search_trainings, read_training
  found: [1] pagamentos - financeiro
  {"sources":[{"number":1,"start":0,"end":309,"trainingId":"pagamentos"}]}
  refused: Received tool input did not match expected schema
  found: [1] pagamentos - financeiro
  {"trainingId":"pagamentos","metadata":{"tag":"pagamentos","grupo":"financeiro"},"start":0,"end":309,"next":null}
  refused: There is no such training`,
  ],
  ["migration-sql", 'CREATE TABLE "training_index".chunk_1'],
  ["playground", "200 <title>Training index</title>"],
  ["rerank", "3  0.487  pagamentos"],
  ["retriever", "No Pix há cinco por cento de desconto [1]."],
  [
    "streamed-citations",
    `de desconto [1]
{"number":1,"trainingId":"pagamentos","start":0,"end":309}
Aceitamos Pix, cartão de crédito`,
  ],
  ["switch-model", "dropped: { name: 'hashing-1', dimensions: 512 }"],
  ["transaction", "after the host's DELETE: []"],
  ["two-step-rag", "No Pix há cinco por cento de desconto [1]."],
  ["vector-store", "left: [ 'boleto', 'frete' ]"],
];

/** A program that runs the examples one after the other on the database of one shop, as `examples/run.ts` does, and can be bundled. */
function programOf(names: readonly string[]): string {
  const moduleOf = (path: string): string => JSON.stringify(resolve("examples", path));
  const fileOf = (name: string): string => (existsSync(`examples/${name}.ts`) ? `${name}.ts` : `${name}/main.ts`);
  return [
    `import { openShop } from ${moduleOf("support/shop.ts")};`,
    "const shop = await openShop();",
    ...names.map((name) => `console.log("\\n== ${name}");\nawait import(${moduleOf(fileOf(name))});`),
    "await shop.close();",
    "",
  ].join("\n");
}

it("each example runs to its end, several in one process", { timeout: 120_000 }, async () => {
  const file = `test/${uniqueName(".readme")}.ts`;
  onTestFinished(() => rm(file));
  await writeFile(file, programOf(PRINTED.map(([name]) => name)));
  const program = await bundleProgram(pathToFileURL(file));
  // Resolves once the process has ended: none of the examples may keep it alive.
  const { stdout } = await promisify(execFile)(process.execPath, [program], { env: newcomersEnvironment() });
  const printed = new Map(stdout.split(/^== /m).map((part) => [part.split("\n", 1)[0], part]));
  for (const [name, expected] of PRINTED) expect(printed.get(name), name).toContain(expected);
});
