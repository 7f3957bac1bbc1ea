import { describe, expect, it } from "vitest";
import { configFromEnv } from "../src/environment.js";
import { InvalidArgumentError } from "../src/errors.js";

const nothingSet = {
  databaseUrl: undefined,
  ollamaBaseUrl: undefined,
  evolutionApiBaseUrl: undefined,
  embeddingsModel: undefined,
  hnsw: { m: undefined, efConstruction: undefined, efSearch: undefined },
};

describe("configFromEnv", () => {
  it.each(["p#1", "p@ss", "a/b?c", "100%", "com espaço", "a:b@c/d#e?f%g h&i=j", "1#2", "1?x", "%40%", "ção", "[x]"])(
    "encodes reserved characters in the password %s",
    (password) => {
      for (const rest of ["localhost:5432/treinos", "db/treinos?sslmode=disable&application_name=a@b"]) {
        const { databaseUrl } = configFromEnv({ DATABASE_URL: `postgres://bot:${password}@${rest}` });
        const url = new URL(databaseUrl ?? "");
        expect([url.username, url.hostname, url.pathname]).toEqual(["bot", rest.split(/[:/]/)[0], "/treinos"]);
        expect(decodeURIComponent(url.password)).toBe(password.replace("%40", "@"));
        expect(databaseUrl?.endsWith(rest)).toBe(true);
      }
    },
  );

  it.each([
    "postgres://bot:p%40ss@db/treinos",
    "postgres://bot@tenant:x@db/treinos".replace("bot@", "bot%40"),
    "postgres://db/treinos?application_name=a@b",
    "postgres://bot:x@db/treinos?options=-c%20search_path%3Da",
    "postgresql://bot:x@/treinos?host=/var/run/postgresql",
  ])("leaves %s unchanged", (address) => {
    expect(configFromEnv({ DATABASE_URL: address }).databaseUrl).toBe(address);
  });

  it("refuses an invalid address and says how to write it, without repeating it", () => {
    const call = (): unknown => configFromEnv({ DATABASE_URL: "postgres://bot:segredo@db:99999/treinos" });
    expect(call).toThrow(/encodeURIComponent\(password\)/);
    expect(call).not.toThrow(/segredo/);
  });

  it("reads every setting", () => {
    const env = {
      DATABASE_URL: "postgres://bot:segredo@localhost:5432/treinos",
      OLLAMA_BASE_URL: "http://localhost:11434",
      ELOLUTIONAPI_BASE_URL: "https://evolution.exemplo.com.br/api",
      EMBEDDINGS_MODEL: "mxbai-embed-large",
      HNSW_M: "16",
      HNSW_EF_CONSTRUCTION: "64",
      HNSW_EF_SEARCH: "100",
      OUTRA: "ignorada",
    };
    expect(configFromEnv(env)).toStrictEqual({
      databaseUrl: "postgres://bot:segredo@localhost:5432/treinos",
      ollamaBaseUrl: "http://localhost:11434",
      evolutionApiBaseUrl: "https://evolution.exemplo.com.br/api",
      embeddingsModel: "mxbai-embed-large",
      hnsw: { m: 16, efConstruction: 64, efSearch: 100 },
    });
  });

  it("leaves unset variables undefined", () => {
    expect(configFromEnv({})).toStrictEqual(nothingSet);
  });

  it("treats an empty or blank value as unset", () => {
    const env = {
      DATABASE_URL: "",
      OLLAMA_BASE_URL: "  ",
      ELOLUTIONAPI_BASE_URL: "\t",
      EMBEDDINGS_MODEL: "\n",
      HNSW_M: "",
      HNSW_EF_CONSTRUCTION: " ",
      HNSW_EF_SEARCH: undefined,
    };
    expect(configFromEnv(env)).toStrictEqual(nothingSet);
  });

  it("trims white space around values", () => {
    const config = configFromEnv({
      DATABASE_URL: " postgresql://db/treinos\n",
      EMBEDDINGS_MODEL: " bge-m3 ",
      HNSW_M: " 8 ",
    });
    expect(config.databaseUrl).toBe("postgresql://db/treinos");
    expect(config.embeddingsModel).toBe("bge-m3");
    expect(config.hnsw.m).toBe(8);
  });

  it("accepts the second protocol of each address", () => {
    const config = configFromEnv({
      DATABASE_URL: "postgresql:///treinos?host=/var/run/postgresql",
      OLLAMA_BASE_URL: "https://ollama.exemplo.com.br",
      ELOLUTIONAPI_BASE_URL: "http://evolution:8080",
    });
    expect(config.databaseUrl).toBe("postgresql:///treinos?host=/var/run/postgresql");
    expect(config.ollamaBaseUrl).toBe("https://ollama.exemplo.com.br");
    expect(config.evolutionApiBaseUrl).toBe("http://evolution:8080");
  });

  it.each(["localhost:5432/treinos", "treinos", "http://localhost/treinos", "postgres//bot:segredo@db"])(
    "refuses %s as the address of the database without repeating it",
    (value) => {
      const error = refusal("DATABASE_URL", "must be an address that starts with postgres:// or postgresql://");
      expect(() => configFromEnv({ DATABASE_URL: value })).toThrow(error);
      expect(error.message).not.toContain(value);
    },
  );

  it.each([
    "postgres:localhost/treinos",
    "postgres:/localhost/treinos",
    "postgresql:localhost/treinos",
    "POSTGRES://localhost/treinos",
    "Postgresql://localhost/treinos",
    "postgres:\\\\localhost\\treinos",
    "post\ngres://localhost/treinos",
    "postgres+ssl://localhost/treinos",
  ])(
    "refuses %j as the address of the database: it does not start literally with postgres:// or postgresql://",
    (value) => {
      expect(() => configFromEnv({ DATABASE_URL: value })).toThrow(
        refusal("DATABASE_URL", "must be an address that starts with postgres:// or postgresql://"),
      );
    },
  );

  it.each(["OLLAMA_BASE_URL", "ELOLUTIONAPI_BASE_URL"])(
    "refuses an address in %s that is not http or https",
    (name) => {
      for (const value of [
        "localhost:11434",
        "ftp://localhost",
        "ollama",
        "http:localhost:11434",
        "http:/localhost:11434",
        "https:localhost",
        "HTTP://localhost:11434",
        "Https://localhost",
        "http:\\\\localhost",
        "ht\ntp://localhost",
        "http://",
      ]) {
        expect(() => configFromEnv({ [name]: value })).toThrow(
          refusal(name, "must be an address that starts with http:// or https://"),
        );
      }
    },
  );

  it.each(["HNSW_M", "HNSW_EF_CONSTRUCTION", "HNSW_EF_SEARCH"])(
    "refuses a value of %s that is not a whole number",
    (name) => {
      for (const value of ["dezesseis", "1.5", "-1", "+1", "1e2", "0x10", "1_000", "1234567890", "NaN", "１６"]) {
        expect(() => configFromEnv({ [name]: value })).toThrow(refusal(name, "must be a whole number"));
      }
    },
  );

  it("accepts zero and nine digits as whole numbers", () => {
    expect(configFromEnv({ HNSW_M: "0", HNSW_EF_SEARCH: "999999999" }).hnsw).toStrictEqual({
      m: 0,
      efConstruction: undefined,
      efSearch: 999_999_999,
    });
  });
});

function refusal(option: string, problem: string): InvalidArgumentError {
  return new InvalidArgumentError(option, problem);
}
