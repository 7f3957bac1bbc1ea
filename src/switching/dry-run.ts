import type { Model } from "../models/models.js";
import { query, type Queryable } from "../postgres/database.js";
import { namesOf } from "../schema/layout.js";
import type { SwitchTarget } from "./begin.js";
import type { CheckedSwitch } from "./switch-options.js";
import type { SwitchResult } from "./switch-types.js";

/** What a switch would do. Reads all chunks once. */
export async function dryRun(
  database: Queryable,
  target: SwitchTarget,
  { model, options }: { model: Model; options: CheckedSwitch },
): Promise<SwitchResult> {
  const { active, building, isContinued, from } = target;
  const { training, chunk } = namesOf(active);
  const behind = namesOf(building).behind;
  const indexed = namesOf(building).indexed;
  const unbuilt = `SELECT count(*) FROM ${training} t WHERE deleted_at IS NULL AND (
    NOT EXISTS (SELECT 1 FROM ${indexed} i WHERE i.training_id = t.id) OR EXISTS (SELECT 1 FROM ${behind} b WHERE b.training_id = t.id))`;
  const [row] = await query<Record<"trainings" | "remaining" | "chunks" | "characters" | "headed", string>>(
    database,
    "read-switch",
    `SELECT (SELECT count(*) FROM ${training} WHERE deleted_at IS NULL)::text AS trainings,
      (${isContinued ? unbuilt : `SELECT count(*) FROM ${training} WHERE deleted_at IS NULL`})::text AS remaining,
      count(*)::text AS chunks, coalesce(sum(char_length(content)), 0)::text AS characters,
      count(*) FILTER (WHERE content_hash <> sha256(convert_to(${WITH_LINE_FEEDS}, 'UTF8')) AND NOT ${givenVector(target)})::text AS headed
    FROM ${chunk} c`,
  );
  const texts = Number(row?.chunks ?? 0);
  const { maxTextsPerMinute } = options;
  return {
    status: "planned",
    from: { name: from.recorded.model, dimensions: from.dimensions },
    to: { name: model.profile.model, dimensions: model.profile.dimensions },
    plan: {
      trainings: Number(row?.trainings ?? 0),
      remaining: Number(row?.remaining ?? 0),
      chunks: texts,
      characters: Number(row?.characters ?? 0),
      needsSource: Number(row?.headed ?? 0) > 0,
      leastMs: maxTextsPerMinute === undefined ? undefined : Math.round((texts * 60_000) / maxTextsPerMinute),
    },
    trainings: 0,
    texts: 0,
  };
}

const WITH_LINE_FEEDS = "regexp_replace(c.content, E'\\r\\n?', E'\\n', 'g')";

/** Whether the hash of a chunk is that of its text and its vector, which the caller gave. A vector is sent in the other byte order. */
function givenVector({ active }: SwitchTarget): string {
  const { extension } = namesOf(active);
  return `content_hash = sha256(convert_to(${WITH_LINE_FEEDS}, 'UTF8') || '\\x00'::bytea || (
      SELECT string_agg(substr(s.sent, 8 + 4 * n, 1) || substr(s.sent, 7 + 4 * n, 1) || substr(s.sent, 6 + 4 * n, 1)
        || substr(s.sent, 5 + 4 * n, 1), ''::bytea ORDER BY n)
      FROM (SELECT ${extension}.vector_send(c.embedding) AS sent) s, generate_series(0, ${extension}.vector_dims(c.embedding) - 1) n))`;
}
