import { startOllamaServer } from "./support/ollama-server.js";
import { spawn } from "node:child_process";
const s = await startOllamaServer();
const c = spawn("/tmp/runpage.sh", [process.argv[2]!], {
  stdio: "inherit",
  env: { ...process.env, OLLAMA_BASE_URL: s.url },
});
c.on("exit", () => void s.close());
