import { InvalidArgumentError } from "../errors.js";

/** Where Ollama's client looks for it when an address has neither protocol nor port. */
const DEFAULT_PORT = "11434";

/**
 * Completes an address as Ollama's client does it.
 *
 * @returns what errors call it: no name, no password, and no path, which can hold a key of a proxy's
 * @throws {@link InvalidArgumentError} for what can be no address
 */
export function serverAddress(baseUrl: unknown): string {
  if (typeof baseUrl !== "string") throw notAnAddress();
  const host = baseUrl.startsWith(":") ? `localhost${baseUrl}` : baseUrl || "localhost";
  const hasProtocol = host.includes("://");
  const address = hasProtocol ? host : `http://${host}`;
  if (!URL.canParse(address)) throw notAnAddress();
  const { protocol, hostname, port } = new URL(address);
  if (!/^https?:$/.test(protocol)) throw notAnAddress();
  const completed = port || (hasProtocol ? "" : DEFAULT_PORT);
  return `${protocol}//${hostname}${completed && `:${completed}`}`;
}

function notAnAddress(): InvalidArgumentError {
  return new InvalidArgumentError(
    "baseUrl",
    "must be an address that starts with http:// or https://, as a string",
  );
}
