import { checkNames, namesOfProperties } from "../calls/checks.js";
import { awaitHostCode } from "../calls/host-code.js";
import { InvalidArgumentError } from "../errors.js";
import { narrowSearch } from "../searching/narrowed-search.js";
import { MAX_K, type AnySearchOptions } from "../searching/search-options.js";
import type { HandlerSettings } from "./handler-options.js";

/** What the option `options` of {@link similarityHandler} returns: how one request is narrowed. */
export interface RequestSearch extends Pick<
  AnySearchOptions,
  "filter" | "minScore" | "maxDistance" | "perTraining" | "timeoutMs"
> {
  /** The largest `k` of the request, and the one that it gets if it asks for none; at most the handler's `maxK`. */
  k?: number | undefined;
}

const REQUEST_SEARCH = namesOfProperties<RequestSearch>({
  filter: true,
  k: true,
  minScore: true,
  maxDistance: true,
  perTraining: true,
  timeoutMs: true,
});

/**
 * What the host's `options` returns for a request.
 *
 * @param known - the names that it may have
 * @throws {@link InvalidArgumentError} if the function throws or returns something unusable; in particular for a filter that is
 * `undefined`, which must not mean "everything"
 */
export async function hostOptions<Options extends { filter?: unknown }>(
  options: (request: Request) => Options | Promise<Options>,
  request: Request,
  known: readonly string[],
  owner: string,
): Promise<Options> {
  const given: unknown = await awaitHostCode("options", async () => options(request));
  checkNames(given ?? null, known, owner, "options");
  if ("filter" in (given as Options) && (given as Options).filter === undefined) {
    throw new InvalidArgumentError("options.filter", "is undefined: leave it out to mean everything");
  }
  return given as Options;
}

/** The handler's settings, narrowed by the host's `options` for one request. @throws as {@link hostOptions} */
export async function settingsFor(request: Request, settings: HandlerSettings): Promise<HandlerSettings> {
  const { options } = settings;
  if (!options) return settings;
  const { k, ...narrower } = await hostOptions(options, request, REQUEST_SEARCH, "similarityHandler");
  const search = narrowSearch(settings.search, { ...narrower, k }, MAX_K, "options");
  const maxK = Math.min(settings.maxK, k ?? settings.maxK);
  return { ...settings, search, maxK, defaultK: k === undefined ? settings.defaultK : maxK };
}
