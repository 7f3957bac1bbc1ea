import type { IndexStatus, StatusWarningCode } from "../../src/index.js";

/** Codes that depend on the server of the test run and not on the index. */
const OF_SERVER: StatusWarningCode[] = ["PGVECTOR_OUTDATED", "PGVECTOR_UPDATE_PENDING"];

/** The codes of the warnings about the index. */
export function codesOf({ warnings }: IndexStatus): StatusWarningCode[] {
  return warnings.map(({ code }) => code).filter((code) => !OF_SERVER.includes(code));
}
