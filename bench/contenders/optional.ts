/** Installs the packages that {@link importOptional} imports. */
export const INSTALL_COMMAND = "npm ci --prefix bench";

/**
 * Imports a package that is installed only under `bench/`; `undefined` if it is not. It never becomes a dependency of the
 * library, and type checks and lint pass without it, so callers declare the part of its types that they use.
 */
export async function importOptional<Module>(name: string): Promise<Module | undefined> {
  try {
    return (await import(name)) as Module;
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}
