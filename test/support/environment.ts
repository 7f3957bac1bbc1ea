/** The variables of a program that a test starts: those that a newcomer has, and the given ones. */
export function newcomersEnvironment(variables: Record<string, string> = {}): Record<string, string> {
  const { PATH = "", HOME = "" } = process.env;
  return { PATH, HOME, ...variables };
}
