/** The part of the Evolution API (version 2) that the bot uses: the webhook `messages.upsert`, and `sendText`. */

/** A text that somebody wrote to the bot. */
export interface IncomingMessage {
  /** WhatsApp's id. A repeated webhook call has the same one. */
  messageId: string;
  /** The Evolution API instance that received it. */
  instance: string;
  /** Whom to answer: a phone with country code, digits only, or a group's address. */
  phone: string;
  /** What was written: a text, or the caption of an image, a video or a document. A quoted text is before it, marked with `> `. */
  text: string;
}

/** Options of {@link readMessage}. */
export interface ReadOptions {
  /** Whether the bot also answers in groups. Default `false`. */
  groups?: boolean | undefined;
  /**
   * Older messages are left alone: after a lost connection the Evolution API may deliver days of them. In milliseconds, default one
   * hour.
   */
  maxAgeMs?: number | undefined;
}

/** Address and key of the Evolution API. */
export interface EvolutionOptions {
  /** `ELOLUTIONAPI_BASE_URL`, in the host's spelling. */
  baseUrl: string;
  apiKey: string;
  /** Time limit of a request in milliseconds. Default 10,000. */
  timeoutMs?: number | undefined;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_AGE_MS = 60 * 60 * 1000;
/** A person's address. The part before a colon is the phone, the rest the device. */
const PERSON = /^(\d{1,20})(?::\d+)?@s\.whatsapp\.net$/;
const GROUP = /^[\d-]{1,50}@g\.us$/;
/** Ids become keys in Redis. */
const MAX_ID_CHARS = 128;

/** The message in a webhook's payload; `undefined` for other events, old messages, media without a caption and the bot's own messages. */
export function readMessage(payload: unknown, options: ReadOptions = {}): IncomingMessage | undefined {
  const { event, instance, data } = recordOf(payload);
  const { key, message, messageTimestamp, contextInfo } = recordOf(data);
  const { fromMe, id } = recordOf(key);
  if (event !== "messages.upsert" || fromMe === true || isOld(messageTimestamp, options)) return undefined;
  const phone = senderOf(recordOf(key), options);
  const text = textOf(message);
  if (!isId(instance) || !isId(id) || phone === undefined) return undefined;
  if (text === undefined || text.trim() === "") return undefined;
  const quoted = quotedIn(message) ?? textOf(recordOf(contextInfo)["quotedMessage"]);
  return { messageId: id, instance, phone, text: quoted === undefined ? text : `${asQuote(quoted)}\n${text}` };
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_ID_CHARS;
}

/** A person who hides the phone has an address that ends in `@lid`; the phone is then in `remoteJidAlt`. */
function senderOf({ remoteJid, remoteJidAlt }: Record<string, unknown>, { groups }: ReadOptions): string | undefined {
  if (typeof remoteJid === "string" && GROUP.test(remoteJid)) return groups ? remoteJid : undefined;
  for (const address of [remoteJid, remoteJidAlt]) {
    const [, phone] = (typeof address === "string" ? PERSON.exec(address) : null) ?? [];
    if (phone !== undefined) return phone;
  }
  return undefined;
}

/** Seconds since 1970, as a number or a text. A message without a time counts as new. */
function isOld(timestamp: unknown, { maxAgeMs = DEFAULT_MAX_AGE_MS }: ReadOptions): boolean {
  const seconds = typeof timestamp === "string" ? Number(timestamp) : timestamp;
  return typeof seconds === "number" && Date.now() - seconds * 1000 > maxAgeMs;
}

const CAPTIONED = ["imageMessage", "videoMessage", "documentMessage"];
/** Messages that hold another one. */
const WRAPPERS = ["ephemeralMessage", "viewOnceMessage", "viewOnceMessageV2", "documentWithCaptionMessage"];
/** WhatsApp nests two at most. */
const MAX_WRAPPERS = 5;

function textOf(message: unknown): string | undefined {
  const inner = unwrapped(message);
  const texts = [inner["conversation"], recordOf(inner["extendedTextMessage"])["text"]];
  const captions = CAPTIONED.map((kind) => recordOf(inner[kind])["caption"]);
  return [...texts, ...captions].find((text) => typeof text === "string");
}

function quotedIn(message: unknown): string | undefined {
  const contents = Object.values(unwrapped(message)).map((content) => recordOf(recordOf(content)["contextInfo"]));
  return contents.map(({ quotedMessage }) => textOf(quotedMessage)).find((text) => text !== undefined);
}

function unwrapped(message: unknown): Record<string, unknown> {
  let record = recordOf(message);
  for (let depth = 0; depth < MAX_WRAPPERS; depth += 1) {
    const wrapper = WRAPPERS.find((name) => Object.hasOwn(record, name));
    if (wrapper === undefined) return record;
    record = recordOf(recordOf(record[wrapper])["message"]);
  }
  return {};
}

function asQuote(text: string): string {
  return text.replaceAll(/^/gm, "> ");
}

/** Sends a text. It does not retry: the caller's queue does. @throws if the request fails or is refused */
export async function sendText(
  { baseUrl, apiKey, timeoutMs = DEFAULT_TIMEOUT_MS }: EvolutionOptions,
  { instance, phone }: Pick<IncomingMessage, "instance" | "phone">,
  text: string,
): Promise<void> {
  const response = await fetch(new URL(`/message/sendText/${encodeURIComponent(instance)}`, baseUrl), {
    method: "POST",
    headers: { "content-type": "application/json", apikey: apiKey },
    body: JSON.stringify({ number: phone, text }),
    signal: AbortSignal.timeout(timeoutMs),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`The Evolution API answered ${response.status}`);
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
