import { DatabaseError, SchemaError } from "../errors.js";
import { query, sqlStateOf, type Queryable } from "../postgres/database.js";

/** insufficient_privilege */
const INSUFFICIENT_PRIVILEGE = "42501";

/**
 * Runs a statement of a migration. Its errors quote the start of the statement, so that someone with the right can run
 * it. That is safe, because the statements hold only names and numbers.
 */
export async function run(client: Queryable, statement: string): Promise<void> {
  try {
    await query(client, "migrate", statement);
  } catch (error) {
    const head = (statement.split("\n")[0] ?? "").replace(/ \($/, "");
    if (SchemaError.is(error) && sqlStateOf(error.cause) === INSUFFICIENT_PRIVILEGE) {
      throw new SchemaError(
        "INSUFFICIENT_PRIVILEGE",
        `The database role may not run ${head}: grant it the right, or migrate as a role that has it`,
        error.cause,
      );
    }
    if (DatabaseError.is(error) && error.sqlState !== undefined) {
      throw new DatabaseError(`${error.message} in ${head}`, error);
    }
    throw error;
  }
}
