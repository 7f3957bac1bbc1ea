/** What a stand-in of Ollama does wrong on demand, in the words of Ollama v0.33.0-rc2 (fb30760) or of what is around it. */

/** What can go wrong. */
export type FaultKind =
  | "slow" // embedding takes `ms`, and `msPerText` for each text
  | "hang" // never answers
  | "stall" // begins its answer, and never ends it
  | "reset" // the connection breaks
  | "proxy" // not Ollama's: an answer of a proxy in front of it, of `status`, `type` and `body`
  | "busy" // 503, as long as the model is not loaded
  | "loadFailure" // 500, as long as the model is not loaded
  | "notReady" // 400, the runner has not come up
  | "crash" // 400, the runner dies of the request
  | "dead" // 400, the runner has died before
  | "nan" // 400, a vector is not a number
  | "zeros" // what Ollama decodes llama-server's null for NaN to: for texts with the marker, else for all
  | "short" // a vector is missing
  | "shuffled"; // the vectors are not in the order of the texts (ollama#6187)

/** One thing that goes wrong, and which requests for embeddings it comes to. */
export interface Fault {
  kind: FaultKind;
  /** How many requests; then it is over. Default: all. */
  times?: number;
  /** Only requests with a text that has this in it. */
  marker?: string;
  ms?: number;
  msPerText?: number;
  status?: number;
  type?: string;
  body?: string;
}

/** An answer of HTTP; a text as its body stays as it is, anything else becomes JSON. */
export interface Answer {
  status: number;
  body: unknown;
  type?: string;
}

/** What `server/routes.go` makes of a failure: all in one field. */
export const failure = (status: number, error: string): Answer => ({ status, body: { error } });

/** Port of the runner, which Ollama starts as a process of its own. */
const RUNNER = "http://127.0.0.1:41235";

/** Where loading fails: `handleScheduleError`. */
export const SCHEDULE_FAILURES = {
  busy: failure(503, "server busy, please try again.  maximum pending requests exceeded"),
  loadFailure: failure(
    500,
    "llama-server process has terminated: signal: killed: ggml_backend_cuda_buffer_type_alloc_buffer failed",
  ),
} as const satisfies Partial<Record<FaultKind, Answer>>;

/** Where embedding fails, `llm/llama_server.go`: 400 for whatever has no status of its own. */
export const RUNNER_FAILURES = {
  notReady: failure(400, "unexpected server status: llm server loading model"),
  crash: failure(400, `do embedding request: Post "${RUNNER}/v1/embeddings": EOF`),
  dead: failure(400, "llama-server process no longer running: exit status 2 CUDA error: out of memory"),
  nan: failure(400, "embedding contains NaN or Inf values"),
} as const satisfies Partial<Record<FaultKind, Answer>>;

const BAD_GATEWAY =
  "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx/1.27.0</body></html>";

/** What a proxy answers while Ollama is away. */
export function proxyAnswer({ status = 502, type = "text/html", body = BAD_GATEWAY }: Fault): Answer {
  return { status, type, body };
}

/** The faults that are under way at a server. */
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

  /** The fault of this kind that comes to a request with these texts; it has come once more then. */
  take(kind: FaultKind, texts: readonly string[]): Fault | undefined {
    const found = this.#faults.find(
      (fault) => fault.kind === kind && (fault.times ?? 1) > 0 && isFor(fault, texts),
    );
    if (found?.times !== undefined) found.times -= 1;
    return found;
  }

  /** The answer of the first kind that there is a fault of. */
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
