/** The part of the Evolution API (version 2) that the bot uses: the webhook `messages.upsert`, and `sendText`. */

/** A text that somebody wrote to the bot. */
export interface IncomingMessage {
  /** WhatsApp's id. A repeated webhook call has the same one. */
  messageId: string;
  /** The Evolution API instance that received it. */
  instance: string;
  /** With country code, digits only. */
  phone: string;
  text: string;
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
/** A person's address; those of groups end in `@g.us`. */
const PERSON = /^(\d+)@s\.whatsapp\.net$/;

/** The text message in a webhook's payload; `undefined` for other events, groups, media and the bot's own messages. */
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
