import { parseArgs } from "node:util";
import { nearestName } from "../../calls/checks.js";
import type { Filter } from "../../index.js";
import { sharedOptions, UsageError, type Command, type CommandOptions } from "./command.js";

/** The arguments of a command, read by name. */
export class Arguments {
  readonly positionals: readonly string[];
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>, positionals: readonly string[]) {
    this.#values = values;
    this.positionals = positionals;
  }

  /** Whether a boolean option was given. */
  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  /** The value of an option; `undefined` if it was not given. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }

  /** @throws {@link UsageError} */
  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!/^-?\d+(?:\.\d+)?$/.test(text))
      throw new UsageError(`--${name} must be a number, not ${JSON.stringify(text)}`);
    return Number(text);
  }

  /** Numbers with commas between them. @throws {@link UsageError} */
  numbers(name: string): number[] | undefined {
    const parts = this.text(name)?.split(",");
    return parts?.map((part) => {
      if (!/^\d+$/.test(part.trim()))
        throw new UsageError(`--${name} must be numbers with commas between them: 40,100`);
      return Number(part);
    });
  }

  /** @throws {@link UsageError} */
  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const text = this.text(name);
    const chosen = choices.find((choice) => choice === text);
    if (text !== undefined && chosen === undefined) {
      throw new UsageError(`--${name} must be one of ${choices.join(", ")}, not ${JSON.stringify(text)}`);
    }
    return chosen;
  }

  /** `KEY=VALUE`, or a filter as JSON. The library checks what the filter says. @throws {@link UsageError} */
  filter(): Filter | undefined {
    const text = this.text("filter");
    if (text === undefined) return undefined;
    const [, key, value] = /^([^={]+)=(.*)$/s.exec(text) ?? [];
    if (key !== undefined) return { [key]: value ?? "" };
    try {
      const filter: unknown = JSON.parse(text);
      if (typeof filter === "object" && filter !== null && !Array.isArray(filter)) return filter;
    } catch {
      // Reported below: the message of JSON.parse quotes the text.
    }
    throw new UsageError('--filter must be KEY=VALUE, or an object in JSON, such as {"grupo":"loja"}');
  }
}

/**
 * Reads the arguments behind the name of a command.
 *
 * @throws {@link UsageError} for an unknown option, with the nearest known one, and for missing or surplus arguments
 */
export function parseCommand(command: Command, args: string[]): Arguments {
  const options = { ...command.options, ...sharedOptions };
  refuseUnknown(command, args, options);
  const { values, positionals } = parseStrictly(args, options);
  const { least, most } = command.positionalCount ?? { least: 0, most: 0 };
  const isHelp = values["help"] === true;
  if (!isHelp && positionals.length < least) throw new UsageError(`${command.name} needs ${command.positionals ?? ""}`);
  if (positionals.length > most) {
    throw new UsageError(`${command.name} does not take ${JSON.stringify(positionals[most])}`);
  }
  return new Arguments(values, positionals);
}

function refuseUnknown(command: Command, args: string[], options: CommandOptions): void {
  const { tokens } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true });
  for (const token of tokens) {
    if (token.kind !== "option" || Object.hasOwn(options, token.name)) continue;
    const nearest = nearestName(token.name, Object.keys(options));
    const hint = nearest === undefined ? "" : `; did you mean --${nearest}?`;
    throw new UsageError(`${command.name} has no option ${token.rawName}${hint}`);
  }
}

function parseStrictly(
  args: string[],
  options: CommandOptions,
): { values: Record<string, unknown>; positionals: string[] } {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    // What is left: a value that is missing, or one for a flag. Node's message says how to write it.
    const [message = ""] = (error as Error).message.split("\n");
    throw new UsageError(message);
  }
}
