/** The profiles of a schema: the active one, and beside it one that is being built, or that was active before. */
import { quoteIdentifier } from "../postgres/identifiers.js";
import { query, type HostNumber, type Queryable } from "../postgres/database.js";
import type { RecordedModel } from "./schema-state.js";

/** `building`: a switch fills it. `retired`: it was active, and a switch back can make it active again. */
export type ProfileState = "building" | "active" | "retired";

/**
 * Added to the recorded model of a profile that was active and is not any more. Versions of this library that do not know switches
 * compare the recorded model, and so refuse to search or write such a profile.
 */
export const RETIRED_SUFFIX = " (retired)";

/** A profile, as it is recorded. */
export interface RecordedProfile {
  id: number;
  state: ProfileState;
  dimensions: number;
  /** `undefined` until the first write records it. */
  recorded: RecordedModel | undefined;
  createdAt: Date;
}

interface ProfileRow {
  id: HostNumber;
  status: ProfileState;
  dimensions: HostNumber;
  model: string | null;
  query_prefix: string | null;
  document_prefix: string | null;
  created_ms: HostNumber;
}

/** All profiles of a schema, the oldest first. */
export async function readProfiles(database: Queryable, schema: string): Promise<RecordedProfile[]> {
  const rows = await query<ProfileRow>(
    database,
    "read-profile",
    `SELECT id::text AS id, status, dimensions::text AS dimensions, model, query_prefix, document_prefix,
      floor(extract(epoch FROM created_at) * 1000)::text AS created_ms
    FROM ${quoteIdentifier(schema, "schema")}.profile ORDER BY id`,
  );
  return rows.map((row) => ({
    id: Number(row.id),
    state: row.status,
    dimensions: Number(row.dimensions),
    createdAt: new Date(Number(row.created_ms)),
    recorded:
      row.model === null
        ? undefined
        : {
            model: row.status === "active" ? row.model : withoutSuffix(row.model),
            queryPrefix: row.query_prefix ?? "",
            documentPrefix: row.document_prefix ?? "",
          },
  }));
}

/** The model of a profile that was active, without {@link RETIRED_SUFFIX}. */
export function withoutSuffix(model: string): string {
  return model.endsWith(RETIRED_SUFFIX) ? model.slice(0, -RETIRED_SUFFIX.length) : model;
}
