/** Faults of the fake Ollama server, with the messages of Ollama v0.33.0-rc2 (fb30760) or of a proxy in front of it. */

/** The kinds of faults. */
export type FaultKind =
  | "slow" // embedding takes `ms`, and `msPerText` for each text
  | "hang" // never answers
  | "stall" // starts its answer and never ends it
  | "reset" // the connection breaks
  | "proxy" // a proxy in front of Ollama answers with `status`, `type` and `body`
  | "busy" // 503 while the model is not loaded
  | "loadFailure" // 500 while the model is not loaded
  | "notReady" // 400, the runner is not ready
  | "crash" // 400, the runner crashes on the request
  | "dead" // 400, the runner crashed earlier
  | "nan" // 400, a vector is not a number
  | "zeros" // what Ollama makes of llama-server's null for NaN; for texts with the marker, else for all
  | "short" // a vector is missing
  | "shuffled"; // the vectors are not in the order of the texts (ollama#6187)

/** A fault, and the embedding requests that it affects. */
export interface Fault {
  kind: FaultKind;
  /** How many requests it affects. Default: all. */
  times?: number;
  /** Only requests with a text that contains this. */
  marker?: string;
  ms?: number;
  msPerText?: number;
  status?: number;
  type?: string;
  body?: string;
}

/** An HTTP answer. A string body is sent as is, anything else as JSON. */
export interface Answer {
  status: number;
  body: unknown;
  type?: string;
}

/** A failure as `server/routes.go` answers it: in a single field. */
export const failure = (status: number, error: string): Answer => ({ status, body: { error } });

/** Address of the runner, which Ollama starts as a separate process. */
const RUNNER = "http://127.0.0.1:41235";

/** Failures of loading a model: `handleScheduleError`. */
export const SCHEDULE_FAILURES = {
  busy: failure(503, "server busy, please try again.  maximum pending requests exceeded"),
  loadFailure: failure(
    500,
    "llama-server process has terminated: signal: killed: ggml_backend_cuda_buffer_type_alloc_buffer failed",
  ),
} as const satisfies Partial<Record<FaultKind, Answer>>;

/** Failures of embedding, `llm/llama_server.go`: 400 for every error without its own status. */
export const RUNNER_FAILURES = {
  notReady: failure(400, "unexpected server status: llm server loading model"),
  crash: failure(400, `do embedding request: Post "${RUNNER}/v1/embeddings": EOF`),
  dead: failure(400, "llama-server process no longer running: exit status 2 CUDA error: out of memory"),
  nan: failure(400, "embedding contains NaN or Inf values"),
} as const satisfies Partial<Record<FaultKind, Answer>>;

const BAD_GATEWAY = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx/1.27.0</body></html>";

/** The answer of a proxy while Ollama is down. */
export function proxyAnswer({ status = 502, type = "text/html", body = BAD_GATEWAY }: Fault): Answer {
  return { status, type, body };
}

/** The active faults of a server. */
export class Faults {
  readonly #faults: Fault[];

  constructor(faults: readonly Fault[] = []) {
    this.#faults = faults.map((fault) => ({ ...fault }));
  }

  add(fault: Fault): void {
    this.#faults.push({ ...fault });
  }

  clear(): void {
    this.#faults.length = 0;
  }

  /** The fault of this kind for a request with these texts. Counts the request. */
  take(kind: FaultKind, texts: readonly string[]): Fault | undefined {
    const found = this.#faults.find((fault) => fault.kind === kind && (fault.times ?? 1) > 0 && isFor(fault, texts));
    if (found?.times !== undefined) found.times -= 1;
    return found;
  }

  /** The answer of the first of these kinds that has a fault for the request. */
  takeAnswer<Kind extends FaultKind>(
    answers: Readonly<Record<Kind, Answer>>,
    texts: readonly string[],
  ): { kind: Kind; answer: Answer } | undefined {
    for (const kind of Object.keys(answers) as Kind[]) {
      if (this.take(kind, texts)) return { kind, answer: answers[kind] };
    }
    return undefined;
  }
}

function isFor({ marker }: Fault, texts: readonly string[]): boolean {
  return marker === undefined || texts.some((text) => text.includes(marker));
}
