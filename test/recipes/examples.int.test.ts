import { existsSync } from "node:fs";
import { expect, it, vi } from "vitest";
import { openShop } from "../../examples/support/shop.js";
import { capturePrinted } from "../support/printed.js";

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

/** Runs an example in this process as `npm run example` does without arguments. @returns what it prints */
async function runExample(name: string): Promise<string> {
  const [file = ""] = [`examples/${name}.ts`, `examples/${name}/main.ts`].filter((path) => existsSync(path));
  return (await capturePrinted(() => import(/* @vite-ignore */ `../../${file}`))).stdout;
}

/** How many servers listen, and how many child processes run: either would keep a process of the example alive. */
function leftRunning(): number {
  return process.getActiveResourcesInfo().filter((name) => ["TCPServerWrap", "ProcessWrap"].includes(name)).length;
}

it("each example runs to its end, and leaves nothing running", { timeout: 120_000 }, async () => {
  vi.spyOn(process, "argv", "get").mockReturnValue([process.execPath, "examples/run.ts"]);
  for (const name of ["DATABASE_URL", "OLLAMA_BASE_URL", "EMBEDDINGS_MODEL", "PORT"]) vi.stubEnv(name, undefined);
  // The examples share the database of an open shop.
  const shop = await openShop();
  const before = leftRunning();
  try {
    for (const [name, expected] of PRINTED) {
      expect(await runExample(name), name).toContain(expected);
      await expect.poll(leftRunning, { message: name, timeout: 10_000 }).toBe(before);
    }
  } finally {
    await shop.close();
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  }
});
