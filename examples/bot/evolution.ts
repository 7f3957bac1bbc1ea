/** The part of the Evolution API (version 2) that the bot speaks: the webhook `messages.upsert`, and `sendText`. */

/** A text that somebody wrote to the bot. */
export interface IncomingMessage {
  /** Of WhatsApp; the webhook may be repeated with the same one. */
  messageId: string;
  /** The connection of the Evolution API that it came through. */
  instance: string;
  /** With country code, digits only. */
  phone: string;
  text: string;
}

/** Where the Evolution API is, and who asks. */
export interface EvolutionOptions {
  /** `ELOLUTIONAPI_BASE_URL`, in the host's spelling. */
  baseUrl: string;
  apiKey: string;
  /** Default 10,000. */
  timeoutMs?: number | undefined;
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** Of a person; groups end in `@g.us`. */
const PERSON = /^(\d+)@s\.whatsapp\.net$/;

/** The message of a webhook; `undefined` for all that is none: other events, groups, media, what the bot itself sent. */
export function readMessage(payload: unknown): IncomingMessage | undefined {
  const { event, instance, data } = recordOf(payload);
  const { key, message } = recordOf(data);
  const { remoteJid, fromMe, id } = recordOf(key);
  const { conversation, extendedTextMessage } = recordOf(message);
  const text = conversation ?? recordOf(extendedTextMessage)["text"];
  const [, phone] = (typeof remoteJid === "string" ? PERSON.exec(remoteJid) : null) ?? [];
  if (event !== "messages.upsert" || fromMe === true || phone === undefined) return undefined;
  if (typeof instance !== "string" || typeof id !== "string" || typeof text !== "string") return undefined;
  return text.trim() === "" ? undefined : { messageId: id, instance, phone, text };
}

/** Sends a text. @throws what is to be tried again: the caller's queue does that */
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
