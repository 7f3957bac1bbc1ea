/** How to install what {@link importOptional} looks for. */
export const INSTALL_COMMAND = "npm ci --prefix bench";

/**
 * A package that is installed under `bench/` alone, or nothing: it never becomes a dependency of the library, and
 * types and lint pass without it. So what is used of it is described here and not by its own types.
 */
export async function importOptional<Module>(name: string): Promise<Module | undefined> {
  try {
    return (await import(name)) as Module;
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}
