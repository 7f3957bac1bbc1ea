import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const runFile = promisify(execFile);

/** What to run a program with. */
export interface RunOptions {
  /** Variables beside `PATH` and `HOME`. */
  env?: Record<string, string>;
  timeoutMs?: number;
}

/** Runs a program to its end, with few variables. @returns what it wrote. @throws with what it wrote, if it fails */
export async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  { env = {}, timeoutMs = 240_000 }: RunOptions = {},
): Promise<string> {
  const { PATH = "", HOME = "", USERPROFILE = "" } = process.env;
  const settings = { cwd, timeout: timeoutMs, maxBuffer: 64 * 1024 ** 2, env: { PATH, HOME, USERPROFILE, ...env } };
  try {
    return (await runFile(command, args, settings)).stdout;
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as Error & { stdout?: string; stderr?: string };
    throw new Error([stderr, stdout, message].join("\n").trim(), { cause: error });
  }
}

/** A project of a user of the package, in a folder of its own. */
export class Project {
  private constructor(readonly folder: string) {}

  /**
   * Makes a project and installs packages into it.
   *
   * @param packages - as `npm install` takes them
   */
  static async create(
    name: string,
    packages: readonly string[],
    type: "module" | "commonjs" = "module",
  ): Promise<Project> {
    const folder = await mkdtemp(join(tmpdir(), "matrix-"));
    const project = new Project(folder);
    await project.write("package.json", JSON.stringify({ name, private: true, type }));
    await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...packages], folder);
    return project;
  }

  /** Makes a project that uses the packages of another one. */
  static async beside(other: Project, name: string, type: "module" | "commonjs" = "module"): Promise<Project> {
    const folder = await mkdtemp(join(tmpdir(), "matrix-"));
    const project = new Project(folder);
    await project.write("package.json", JSON.stringify({ name, private: true, type }));
    await symlink(other.path("node_modules"), project.path("node_modules"));
    return project;
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  async write(name: string, text: string): Promise<void> {
    await mkdir(dirname(this.path(name)), { recursive: true });
    await writeFile(this.path(name), text);
  }

  run(command: string, args: readonly string[], options?: RunOptions): Promise<string> {
    return run(command, args, this.folder, options);
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
