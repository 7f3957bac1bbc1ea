import { getEventListeners } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import type * as Errors from "../src/errors.js";
import {
  AbortError,
  DatabaseError,
  EmbeddingError,
  InvalidArgumentError,
  orAbort,
  SchemaError,
  throwIfAborted,
  TrainingIndexError,
} from "../src/errors.js";

describe("TrainingIndexError", () => {
  it("has a code, `retryable` and a cause", () => {
    const cause = new Error("conexão recusada");
    const error = new TrainingIndexError("falhou", { code: "DATABASE_FAILED", retryable: true, cause });
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe("TrainingIndexError");
    expect(error.message).toBe("falhou");
    expect(error.code).toBe("DATABASE_FAILED");
    expect(error.retryable).toBe(true);
    expect(error.cause).toBe(cause);
  });

  it("has no cause property when there is no cause", () => {
    const error = new TrainingIndexError("falhou", { code: "CONFLICT", retryable: false });
    expect(Object.hasOwn(error, "cause")).toBe(false);
  });
});

describe("InvalidArgumentError", () => {
  it("puts the option before the problem and is never retryable", () => {
    const error = new InvalidArgumentError("filter.grupo", "must be a string");
    expect(error).toBeInstanceOf(TrainingIndexError);
    expect(error.name).toBe("InvalidArgumentError");
    expect(error.message).toBe("filter.grupo must be a string");
    expect(error.option).toBe("filter.grupo");
    expect(error.code).toBe("INVALID_ARGUMENT");
    expect(error.retryable).toBe(false);
  });

  it("keeps the underlying error as its cause", () => {
    const cause = new SyntaxError("JSON");
    expect(new InvalidArgumentError("documents[0]", "is no JSON", cause).cause).toBe(cause);
  });
});

describe("is", () => {
  const makers = {
    InvalidArgumentError: (of: typeof Errors) => new of.InvalidArgumentError("k", "is 0"),
    SchemaError: (of: typeof Errors) => new of.SchemaError("SCHEMA_MISSING", "run migrate"),
    EmbeddingError: (of: typeof Errors) => new of.EmbeddingError("EMBEDDING_FAILED", "x", true),
    DatabaseError: (of: typeof Errors) => new of.DatabaseError("x", { code: "CONFLICT", retryable: true }),
    AbortError: (of: typeof Errors) => new of.AbortError("x"),
  };
  const names = Object.keys(makers) as (keyof typeof makers)[];

  it.each(names)("recognizes a %s of another copy of the library, and as no other class", async (name) => {
    const own = await import("../src/errors.js");
    vi.resetModules();
    const other = await import("../src/errors.js");
    expect(other.TrainingIndexError).not.toBe(own.TrainingIndexError);
    for (const copy of [own, other]) {
      const error = makers[name](copy);
      expect(own.TrainingIndexError.is(error)).toBe(true);
      expect(names.filter((each) => own[each].is(error))).toEqual([name]);
    }
  });

  it("recognizes nothing else", () => {
    for (const value of [undefined, null, "x", {}, new Error("x"), { name: "AbortError" }]) {
      expect(TrainingIndexError.is(value)).toBe(false);
      expect(AbortError.is(value)).toBe(false);
    }
  });
});

describe("SchemaError", () => {
  it("accepts any code and is never retryable", () => {
    const error = new SchemaError("SCHEMA_MISSING", "run migrate", "por baixo");
    expect(error).toBeInstanceOf(TrainingIndexError);
    expect(error.name).toBe("SchemaError");
    expect(error.message).toBe("run migrate");
    expect(error.code).toBe("SCHEMA_MISSING");
    expect(error.retryable).toBe(false);
    expect(error.cause).toBe("por baixo");
  });
});

describe("EmbeddingError", () => {
  it.each([true, false])("has the given `retryable`: %s", (retryable) => {
    const error = new EmbeddingError("EMBEDDING_FAILED", "o modelo falhou", retryable, "por baixo");
    expect(error).toBeInstanceOf(TrainingIndexError);
    expect(error.name).toBe("EmbeddingError");
    expect(error.message).toBe("o modelo falhou");
    expect(error.code).toBe("EMBEDDING_FAILED");
    expect(error.retryable).toBe(retryable);
    expect(error.cause).toBe("por baixo");
  });
});

describe("DatabaseError", () => {
  it("has the SQLSTATE", () => {
    const details = { code: "CONFLICT", retryable: true, sqlState: "40001", cause: 1 } as const;
    const error = new DatabaseError("rejeitado", details);
    expect(error).toBeInstanceOf(TrainingIndexError);
    expect(error.name).toBe("DatabaseError");
    expect(error.message).toBe("rejeitado");
    expect(error.code).toBe("CONFLICT");
    expect(error.retryable).toBe(true);
    expect(error.sqlState).toBe("40001");
    expect(error.cause).toBe(1);
  });

  it("has no SQLSTATE if the connection failed", () => {
    const error = new DatabaseError("sem conexão", { code: "CONNECTION_FAILED", retryable: true });
    expect(error.sqlState).toBeUndefined();
  });
});

describe("AbortError", () => {
  it("has the reason of the signal as its cause", () => {
    const error = new AbortError("o usuário desistiu");
    expect(error).toBeInstanceOf(TrainingIndexError);
    expect(error.name).toBe("AbortError");
    expect(error.message).toBe("The operation was aborted");
    expect(error.code).toBe("ABORTED");
    expect(error.retryable).toBe(false);
    expect(error.cause).toBe("o usuário desistiu");
  });
});

describe("throwIfAborted", () => {
  it("throws once the signal has fired", () => {
    const controller = new AbortController();
    const check = (): void => {
      throwIfAborted(controller.signal);
    };
    expect(check).not.toThrow();
    controller.abort("desistiu");
    expect(check).toThrow(AbortError);
    expect(check).toThrow(new AbortError("desistiu"));
  });

  it("treats a missing signal as one that never fires", () => {
    expect(() => {
      throwIfAborted(undefined);
    }).not.toThrow();
  });
});

describe("orAbort", () => {
  it("settles like the work without a signal", async () => {
    const failure = new Error("falhou");
    await expect(orAbort(() => Promise.resolve("pronto"), undefined)).resolves.toBe("pronto");
    await expect(orAbort(() => Promise.reject(failure), undefined)).rejects.toBe(failure);
  });

  it("settles like the work while the signal has not fired", async () => {
    const failure = new Error("falhou");
    const { signal } = new AbortController();
    await expect(orAbort(() => Promise.resolve("pronto"), signal)).resolves.toBe("pronto");
    await expect(orAbort(() => Promise.reject(failure), signal)).rejects.toBe(failure);
  });

  it.each([undefined, new AbortController().signal])(
    "rejects with what the work throws synchronously, and leaves no listener (%#)",
    async (signal) => {
      const failure = new Error("falhou");
      const work = (): never => {
        throw failure;
      };
      await expect(orAbort(work, signal)).rejects.toBe(failure);
      if (signal) expect(getEventListeners(signal, "abort")).toHaveLength(0);
    },
  );

  it.each([undefined, new AbortController().signal])(
    "starts the work immediately and only once (%#)",
    async (signal) => {
      const work = vi.fn(() => Promise.resolve("pronto"));
      const outcome = orAbort(work, signal);
      expect(work).toHaveBeenCalledOnce();
      await outcome;
      expect(work).toHaveBeenCalledOnce();
    },
  );

  it("rejects as soon as the signal fires, even if the work never ends", async () => {
    const controller = new AbortController();
    const outcome = orAbort(() => new Promise(() => undefined), controller.signal);
    controller.abort("desistiu");
    await expect(outcome).rejects.toThrow(AbortError);
    await expect(outcome).rejects.toThrow(new AbortError("desistiu"));
  });

  it("does not start the work if the signal has already fired", async () => {
    const work = vi.fn(() => Promise.resolve("pronto"));
    const signal = AbortSignal.abort("antes");
    const outcome = orAbort(work, signal);
    await expect(outcome).rejects.toThrow(AbortError);
    await expect(outcome).rejects.toThrow(new AbortError("antes"));
    expect(work).not.toHaveBeenCalled();
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  it("leaves no listener on the signal", async () => {
    const { signal } = new AbortController();
    let resolve = (): void => undefined;
    const promise = new Promise<void>((done) => {
      resolve = done;
    });
    const outcome = orAbort(() => promise, signal);
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    resolve();
    await outcome;
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  it("leaves no rejection unhandled if the work fails after the signal", async () => {
    const controller = new AbortController();
    const unhandled = await unhandledRejections(async () => {
      let fail = (): void => undefined;
      const promise = new Promise<void>((_resolve, reject) => {
        fail = () => {
          reject(new Error("falhou tarde"));
        };
      });
      const outcome = orAbort(() => promise, controller.signal);
      controller.abort();
      await expect(outcome).rejects.toThrow(AbortError);
      fail();
    });
    expect(unhandled).toEqual([]);
  });

  it("leaves no rejection unhandled if the signal has already fired", async () => {
    const unhandled = await unhandledRejections(async () => {
      const work = (): Promise<never> => Promise.reject(new Error("o modelo falhou"));
      await expect(orAbort(work, AbortSignal.abort())).rejects.toThrow(AbortError);
    });
    expect(unhandled).toEqual([]);
  });

  it("leaves no rejection unhandled if the work fires the signal and throws synchronously", async () => {
    const controller = new AbortController();
    const unhandled = await unhandledRejections(async () => {
      const work = (): never => {
        controller.abort();
        throw new Error("o modelo falhou");
      };
      await expect(orAbort(work, controller.signal)).rejects.toThrow();
    });
    expect(unhandled).toEqual([]);
  });
});

/** The unhandled rejections, for which Node would end the process. Vitest's own listeners are removed meanwhile. */
async function unhandledRejections(body: () => Promise<void>): Promise<unknown[]> {
  const others = process.listeners("unhandledRejection");
  const reasons: unknown[] = [];
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", (reason) => reasons.push(reason));
  try {
    await body();
    await nextTurn();
    return reasons;
  } finally {
    process.removeAllListeners("unhandledRejection");
    for (const listener of others) process.on("unhandledRejection", listener);
  }
}
