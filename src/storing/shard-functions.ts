/** The further functions of a schema whose trainings are spread over the nodes of a Citus cluster. */
import { functionNames, OTHER_SCHEMA, shardFunctions } from "../schema/citus.js";
import type { DistributedFunction, FunctionsPlan } from "./distributed-functions.js";
import { meets } from "./fence-sql.js";

/** All of them. The first is called for one training, the others by statements on each shard. */
export function functionsOnShards(plan: FunctionsPlan): DistributedFunction[] {
  return [cleanFunction(plan), requireFunction(plan), settingsFunction(plan), sharedFunction(plan)];
}

/** Deletes what a deleted training, or an id without a training, still has of chunks. */
function cleanFunction({ names, idType }: FunctionsPlan): DistributedFunction {
  const { training, indexed, chunk } = names;
  return {
    name: functionNames(names).clean,
    parameters: [
      ["p_id", idType],
      ["p_scope", "jsonb[]"],
    ],
    returns: "SETOF text",
    body: `DECLARE
  is_left boolean;
BEGIN
  SELECT t.deleted_at IS NOT NULL AND ${meets("t", "p_scope")} INTO is_left FROM ${training} t WHERE t.id = p_id FOR NO KEY UPDATE;
  IF NOT is_left THEN RETURN; END IF;
  DELETE FROM ${chunk} WHERE training_id = p_id;
  DELETE FROM ${indexed} WHERE training_id = p_id;
  RETURN NEXT p_id::text;
END`,
  };
}

/** Fails unless the version of the schema, which the statement reads on the node of the shard, is one that the caller accepts. */
function requireFunction({ names }: FunctionsPlan): DistributedFunction {
  return {
    name: shardFunctions(names).require,
    parameters: [
      ["p_version", "text"],
      ["p_accepted", "text[]"],
    ],
    returns: "boolean STABLE",
    isOnShards: true,
    body: `BEGIN
  IF p_version = ANY (p_accepted) THEN RETURN true; END IF;
  RAISE EXCEPTION USING ERRCODE = 'invalid_text_representation', MESSAGE = concat('${OTHER_SCHEMA}', p_version);
END`,
  };
}

/**
 * Sets what the scan of the vector index needs, on the connection that searches the shard and until the end of its transaction. As a
 * condition it is evaluated once, before the first row is read.
 *
 * Not parallel safe, as is the default: a parallel worker could not set anything. And not in SQL: Citus would evaluate the settings on the
 * coordinator.
 */
function settingsFunction({ names }: FunctionsPlan): DistributedFunction {
  return {
    name: shardFunctions(names).settings,
    parameters: [
      ["p_names", "text[]"],
      ["p_values", "text[]"],
    ],
    returns: "boolean STABLE",
    isOnShards: true,
    body: `BEGIN
  FOR place IN 1 .. cardinality(p_names) LOOP
    PERFORM pg_catalog.set_config(p_names[place], p_values[place], true);
  END LOOP;
  RETURN true;
END`,
  };
}

/** The entries of a training's metadata that a chunk has too. Citus allows no such subquery in a statement on shards. */
function sharedFunction({ names }: FunctionsPlan): DistributedFunction {
  return {
    name: shardFunctions(names).shared,
    parameters: [
      ["p_training", "jsonb"],
      ["p_chunk", "jsonb"],
    ],
    returns: "jsonb IMMUTABLE",
    isOnShards: true,
    body: `BEGIN
  RETURN (SELECT coalesce(jsonb_object_agg(entry.key, entry.value), '{}') FROM jsonb_each(p_training) AS entry
    WHERE p_chunk -> entry.key = entry.value);
END`,
  };
}
