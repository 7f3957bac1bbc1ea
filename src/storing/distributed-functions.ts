/**
 * The functions of a schema on a Citus cluster, most of which write. Citus runs a call on the node that has the training, in one round trip and as one
 * transaction; in a host's transaction it runs the body on the coordinator, statement by statement. A single statement does not
 * do: Citus plans no INSERT in a WITH.
 *
 * Each function handles one training. It returns its id if the fence admitted it, no row if not, and NULL if the index may not write.
 */
import { dollarQuoted, quoteLiteral } from "../postgres/identifiers.js";
import { functionNames, storageBody, storageFunction } from "../schema/citus.js";
import { CHUNK_PREFIX, type CitusMode, type Layout, type Names } from "../schema/layout.js";
import { lexemesOf, statisticsFunction } from "../schema/lexemes.js";
import { functionsOnShards } from "./shard-functions.js";
import {
  barrierOf,
  CLAIM_COLUMNS,
  isNewer,
  lockOfProfile,
  meets,
  unlessNewerIsStored,
  unlessNewerOrOutside,
} from "./fence-sql.js";

/** What the functions are written for. */
export interface FunctionsPlan extends Pick<Layout, "idType" | "textSearch"> {
  names: Names;
  citus: CitusMode;
}

/** A function that is created on all nodes. */
export interface DistributedFunction {
  /** With the schema. */
  name: string;
  /** Names and types. The first one of a function that writes is the id of the training. */
  parameters: readonly (readonly [name: string, type: string])[];
  /** What it returns, and how it may be used. */
  returns: string;
  body: string;
  /** Whether statements on shards call it there, so that Citus sends no call of it to another node. */
  isOnShards?: true;
}

/**
 * The statements that create the functions, on all nodes. A repeat replaces them. The tables must be distributed.
 *
 * @see https://docs.citusdata.com/en/stable/develop/api_udf.html#create-distributed-function
 */
export function createFunctions(plan: FunctionsPlan): string[] {
  const colocated = `colocate_with => ${quoteLiteral(plan.names.training)}`;
  return functionsOf(plan).flatMap(({ name, parameters, returns, body, isOnShards }) => {
    const id = parameters[0]?.[0] ?? "";
    // Without it Citus runs all calls on the node that has the whole schema.
    const place = plan.citus === "tables" ? `${quoteLiteral(id)}, ${colocated}` : colocated;
    return [
      `CREATE OR REPLACE FUNCTION ${name}(${parameters.map((parameter) => parameter.join(" ")).join(", ")})
  RETURNS ${returns} LANGUAGE plpgsql AS ${dollarQuoted(body)}`,
      `SELECT pg_catalog.create_distributed_function(${quoteLiteral(signatureOf({ name, parameters }))}${isOnShards ? "" : `, ${place}`})`,
    ];
  });
}

/** The statements that remove the functions. Needed before they are created for another type of ids: both would be there. */
export function dropFunctions(plan: FunctionsPlan): string[] {
  return functionsOf(plan).map((each) => `DROP FUNCTION IF EXISTS ${signatureOf(each)}`);
}

/** How Postgres tells the function from others of the same name. */
function signatureOf({ name, parameters }: Pick<DistributedFunction, "name" | "parameters">): string {
  return `${name}(${parameters.map(([, type]) => type).join(", ")})`;
}

/** The bodies of the functions, as the catalogs have them. */
export function functionBodies(plan: FunctionsPlan): string[] {
  return functionsOf(plan).map(({ body }) => body);
}

function functionsOf(plan: FunctionsPlan): DistributedFunction[] {
  const writing = [storeFunction(plan), touchFunction(plan), removeFunction(plan)].map((each) => ({
    ...each,
    returns: "SETOF text",
  }));
  if (plan.citus === "tables") return [...writing, ...functionsOnShards(plan)];
  const reading = { name: storageFunction(plan.names), parameters: [], returns: "json", body: storageBody(plan.names) };
  return [...writing, reading, ...(plan.textSearch === undefined ? [] : [lexemesFunction(plan.names)])];
}

/** Reads the planner's statistics of the lexemes where they are; the table has the number of its shard there. */
function lexemesFunction(names: Names): DistributedFunction {
  return {
    name: statisticsFunction(names),
    parameters: [],
    returns: "TABLE (lexeme text, frequency real) STABLE",
    body: `BEGIN
  RETURN QUERY SELECT known.lexeme, known.frequency FROM pg_catalog.pg_stats s
    CROSS JOIN LATERAL unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS known (lexeme, frequency)
  WHERE s.schemaname = ${quoteLiteral(plainName(names.schema))} AND s.tablename ~ '^${CHUNK_PREFIX}${names.profileId}(_[0-9]+)?$'
    AND s.attname = 'lexemes';
END`,
  };
}

/** A quoted name as the catalogs have it. */
function plainName(quoted: string): string {
  return quoted.slice(1, -1).replaceAll('""', '"');
}

/** Columns of chunks with their arrays: ids, contents, metadata, hashes, and the words for the lexemes. */
const CHUNK_ARRAYS = [
  ["ids", "text[]"],
  ["contents", "text[]"],
  ["metadata", "jsonb[]"],
  ["hashes", "bytea[]"],
  ["words", "text[]"],
] as const;

function arraysOf(prefix: string): [name: string, type: string][] {
  return CHUNK_ARRAYS.map(([name, type]) => [`${prefix}_${name}`, type]);
}

/** Replaces the stored version of a training. Its values are those of `storeStatement`. */
function storeFunction(plan: FunctionsPlan): Omit<DistributedFunction, "returns"> {
  const { names, idType } = plan;
  const { training, indexed, chunk, vector } = names;
  return {
    name: functionNames(names).store,
    parameters: [
      ["p_id", idType],
      ["p_ticket", "bigint"],
      ["p_revision", "numeric"],
      ["p_metadata", "jsonb"],
      ["p_replaced_ticket", "bigint"],
      ["p_fingerprint", "bytea"],
      ["p_splitter", "text"],
      ["p_chunk_ids", "text[]"],
      ["p_starts", "integer[]"],
      ["p_ends", "integer[]"],
      ["p_scope", "jsonb[]"],
      ["p_claim", "text[]"],
      ["p_added_vectors", `${vector}[]`],
      ...arraysOf("p_added"),
      ...arraysOf("p_copied"),
      ["p_dropped_ids", "text[]"],
      ["p_updated_ids", "text[]"],
      ["p_updated_metadata", "jsonb[]"],
    ],
    body: `DECLARE
  copied ${vector}[] := '{}';
  copy ${vector};
BEGIN
  ${requireClaim(plan)}
  IF p_replaced_ticket IS NOT NULL THEN
    PERFORM 1 FROM ${training} WHERE id = p_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
  END IF;
  INSERT INTO ${training} AS t (id, ticket, content_ticket, replaced_ticket, revision, barrier, metadata)
  VALUES (p_id, p_ticket, p_ticket, p_replaced_ticket, p_revision, ${BARRIER}, p_metadata)
  ${unlessNewerIsStored("p_scope")};
  IF NOT FOUND THEN RETURN; END IF;
  -- All vectors are read first: a row to write may take the place of one whose vector another row needs.
  FOR place IN 1 .. cardinality(p_copied_ids) LOOP
    SELECT embedding INTO copy FROM ${chunk} WHERE training_id = p_id AND content_hash = p_copied_hashes[place] LIMIT 1;
    copied := array_append(copied, copy);
  END LOOP;
  IF cardinality(p_dropped_ids) > 0 THEN
    DELETE FROM ${chunk} WHERE training_id = p_id AND id = ANY (p_dropped_ids);
  END IF;
  ${insertChunks(plan, "copied", "p_copied")}
  ${insertChunks(plan, "p_added_vectors", "p_added")}
  IF cardinality(p_updated_ids) > 0 THEN
    -- Not by a subscript: on Citus 14.0 that ends the server process, if the function runs on the coordinator.
    UPDATE ${chunk} c SET metadata = n.metadata FROM unnest(p_updated_ids, p_updated_metadata) AS n (id, metadata)
    WHERE c.training_id = p_id AND c.id = n.id;
  END IF;
  INSERT INTO ${indexed} (training_id, fingerprint, splitter, chunk_ids, starts, ends)
  VALUES (p_id, p_fingerprint, p_splitter, p_chunk_ids, p_starts, p_ends)
  ON CONFLICT (training_id) DO UPDATE SET fingerprint = excluded.fingerprint, splitter = excluded.splitter,
    chunk_ids = excluded.chunk_ids, starts = excluded.starts, ends = excluded.ends;
  RETURN NEXT p_id::text;
END`,
  };
}

function insertChunks({ names, textSearch }: FunctionsPlan, vectors: string, prefix: string): string {
  const lexemes = textSearch === undefined ? "" : ", lexemes";
  const words = textSearch === undefined ? "" : `, ${lexemesOf(textSearch, "n.words")}`;
  return `IF cardinality(${prefix}_ids) > 0 THEN
    INSERT INTO ${names.chunk} (training_id, id, content, metadata, content_hash, embedding${lexemes})
    SELECT p_id, n.id, n.content, n.metadata, n.content_hash, n.embedding${words}
    FROM unnest(${prefix}_ids, ${prefix}_contents, ${prefix}_metadata, ${prefix}_hashes, ${prefix}_words, ${vectors})
      AS n (id, content, metadata, content_hash, words, embedding);
  END IF;`;
}

/** Records a call on a version that is stored already. */
function touchFunction(plan: FunctionsPlan): Omit<DistributedFunction, "returns"> {
  const { names, idType } = plan;
  return {
    name: functionNames(names).touch,
    parameters: [
      ["p_id", idType],
      ["p_ticket", "bigint"],
      ["p_revision", "numeric"],
      ["p_content_ticket", "bigint"],
      ["p_scope", "jsonb[]"],
      ["p_claim", "text[]"],
    ],
    body: `BEGIN
  ${requireClaim(plan)}
  UPDATE ${names.training} t SET ticket = p_ticket, revision = greatest(t.revision, p_revision),
    barrier = greatest(t.barrier, ${BARRIER}), updated_at = now()
  WHERE t.id = p_id AND t.content_ticket = p_content_ticket AND t.deleted_at IS NULL
    AND ${ofParameters(isNewer("n", "t"))} AND ${meets("t", "p_scope")};
  IF FOUND THEN RETURN NEXT p_id::text; END IF;
END`,
  };
}

/**
 * Deletes a training: returns its id and, behind a colon, the number of its chunks, empty without a stored version. `p_metadata` is that of a
 * tombstone for an id that has no row.
 */
function removeFunction(plan: FunctionsPlan): Omit<DistributedFunction, "returns"> {
  const { names, idType } = plan;
  const { training, indexed, chunk, profile, profileId } = names;
  return {
    name: functionNames(names).remove,
    parameters: [
      ["p_id", idType],
      ["p_ticket", "bigint"],
      ["p_revision", "numeric"],
      ["p_metadata", "jsonb"],
      ["p_scope", "jsonb[]"],
    ],
    body: `DECLARE
  removed integer;
BEGIN
  PERFORM 1 FROM ${profile} WHERE id = ${profileId} AND status = 'active'${lockOfProfile(plan)};
  IF NOT FOUND THEN RETURN NEXT NULL; RETURN; END IF;
  INSERT INTO ${training} AS t (id, ticket, content_ticket, revision, barrier, metadata, deleted_at)
  VALUES (p_id, p_ticket, p_ticket, p_revision, ${BARRIER}, p_metadata, now())
  ${unlessNewerOrOutside("p_scope")};
  IF NOT FOUND THEN RETURN; END IF;
  DELETE FROM ${indexed} WHERE training_id = p_id RETURNING cardinality(chunk_ids) INTO removed;
  DELETE FROM ${chunk} WHERE training_id = p_id;
  RETURN NEXT concat(removed::text, ':', p_id::text);
END`,
  };
}

/** The parameters in place of the columns of a relation `n`. */
function ofParameters(condition: string): string {
  return condition.replace(/\bn\.(\w+)/g, "p_$1");
}

const BARRIER = ofParameters(barrierOf("n"));

/** Ends the function if the schema is not claimed for the model of the index, and locks the claim if that can change. */
function requireClaim(plan: FunctionsPlan): string {
  const { profile, profileId } = plan.names;
  return `PERFORM 1 FROM ${profile} WHERE id = ${profileId} AND status = 'active' AND ${CLAIM_COLUMNS} = p_claim${lockOfProfile(plan)};
  IF NOT FOUND THEN RETURN NEXT NULL; RETURN; END IF;`;
}
