import type { Names } from "../schema/layout.js";

/** The statements that create the indexes other than vector and text search indexes, by index name. */
export const plainIndexes = {
  training_deleted: ({ training }: Names) =>
    `CREATE INDEX training_deleted ON ${training} (deleted_at) WHERE deleted_at IS NOT NULL`,
  profile_active: ({ profile }: Names) =>
    `CREATE UNIQUE INDEX profile_active ON ${profile} (status) WHERE status = 'active'`,
  chunk_1_id: ({ chunk }: Names) => `CREATE INDEX chunk_1_id ON ${chunk} (id)`,
  chunk_1_metadata: ({ chunk }: Names) =>
    `CREATE INDEX chunk_1_metadata ON ${chunk} USING gin (metadata jsonb_path_ops)`,
} as const;
