import type { Names } from "../schema/layout.js";

/** The statements that create the indexes other than vector and text search indexes, by index name; those of chunks by its last part. */
export const plainIndexes = {
  training_deleted: ({ training }: Names) =>
    `CREATE INDEX training_deleted ON ${training} (deleted_at) WHERE deleted_at IS NOT NULL`,
  profile_active: ({ profile }: Names) =>
    `CREATE UNIQUE INDEX profile_active ON ${profile} (status) WHERE status = 'active'`,
  chunk_id: ({ profileId, chunk }: Names) => `CREATE INDEX chunk_${profileId}_id ON ${chunk} (id)`,
  chunk_metadata: ({ profileId, chunk }: Names) =>
    `CREATE INDEX chunk_${profileId}_metadata ON ${chunk} USING gin (metadata jsonb_path_ops)`,
} as const;
