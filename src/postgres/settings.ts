import { SchemaError } from "../errors.js";

/**
 * SQL for the settings that results depend on, as JSON text. Other settings do not affect the library: it reads ids,
 * numbers, times and bytes through explicit casts, and names from the catalogs rather than from display functions.
 */
export const READ_SETTINGS = `pg_catalog.json_build_object(
    'server_encoding', pg_catalog.current_setting('server_encoding'),
    'default_transaction_read_only', pg_catalog.current_setting('default_transaction_read_only'),
    'in_recovery', pg_catalog.pg_is_in_recovery(),
    'array_nulls', pg_catalog.current_setting('array_nulls'),
    'session_replication_role', pg_catalog.current_setting('session_replication_role'),
    'extra_float_digits', pg_catalog.current_setting('extra_float_digits')::integer,
    'gin_fuzzy_search_limit', pg_catalog.current_setting('gin_fuzzy_search_limit')::integer)::text`;

/** The result of {@link READ_SETTINGS}. */
export interface Settings {
  server_encoding: string;
  default_transaction_read_only: string;
  in_recovery: boolean;
  array_nulls: string;
  session_replication_role: string;
  extra_float_digits: number;
  gin_fuzzy_search_limit: number;
}

/** @throws {@link SchemaError} for a setting that would make results wrong */
export function refuseSettings(settings: Settings): void {
  const { server_encoding: encoding } = settings;
  if (encoding !== "UTF8") {
    refuse(
      `The encoding of the database is ${encoding}, which cannot store or compare all texts: use a database that was ` +
        "created with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
    );
  }
  // When off, a NULL in an array (a training without a revision) is read as the text "NULL".
  if (settings.array_nulls !== "on") refuseValue("array_nulls", settings.array_nulls, "on");
  // "replica" disables the triggers of foreign keys: chunks would stay when their training is deleted.
  if (settings.session_replication_role === "replica") {
    refuseValue("session_replication_role", "replica", "origin");
  }
  if (settings.extra_float_digits < 0) {
    refuseValue("extra_float_digits", `${settings.extra_float_digits}`, "1", "It rounds the distances of hits");
  }
  if (settings.gin_fuzzy_search_limit !== 0) {
    const value = `${settings.gin_fuzzy_search_limit}`;
    refuseValue("gin_fuzzy_search_limit", value, "0", "It leaves out hits of filters and of text searches at random");
  }
}

/** @throws {@link SchemaError} for a server or role that cannot write, and so cannot migrate */
export function refuseReadOnly(settings: Settings): void {
  if (settings.in_recovery) {
    refuse("This server is a replica, which does not accept writes: run migrate on the primary");
  }
  if (settings.default_transaction_read_only !== "off") {
    refuseValue("default_transaction_read_only", settings.default_transaction_read_only, "off");
  }
}

function refuseValue(name: string, value: string, wanted: string, why = "The index does not work with it"): never {
  refuse(
    `The setting ${name} is ${value} for this role, database or server. ${why}: run ALTER ROLE ... SET ` +
      `${name} = ${wanted} for the role that connects, and reconnect`,
  );
}

function refuse(message: string): never {
  throw new SchemaError("UNSUPPORTED_SETTING", message);
}
