/**
 * Replaces this process by itself with a higher limit of concurrent fetches. The runtime reads the
 * limit from the environment before any code of ours runs, and queues in silence past 256.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";

const limitName = "BUN_CONFIG_MAX_HTTP_REQUESTS";
const limit = "20000";
/** Set by ourselves, so that a replaced process never replaces itself again. */
const doneName = "ROUTEIQ_REEXEC";
/** An operator who supervises the process otherwise sets this to "off". */
const optOut = "off";

export type Environment = Readonly<Record<string, string | undefined>>;

/** True where a replacement is due: the limit is not set, nobody opted out, the system has execve. */
export function needsReExec(env: Environment, platform: string): boolean {
  if (platform !== "linux" && platform !== "darwin") return false;
  return env[limitName] === undefined && env[doneName] === undefined;
}

/**
 * Does not return where it works: same process id, open files and terminal. Where execve is missing
 * or fails, answers why, and the process goes on with the runtime's own limit.
 */
export function reExec(env: Environment, words: readonly string[]): string | undefined {
  if (!needsReExec(env, process.platform)) return undefined;
  const environment = { ...env, [limitName]: limit, [doneName]: "done" };
  const failures: string[] = [];
  for (const library of libraries[process.platform] ?? []) {
    try {
      execve(library, commandLine(words), environment);
      failures.push(`${library}: execve failed`);
    } catch (thrown) {
      failures.push(thrown instanceof Error ? thrown.message : String(thrown));
    }
  }
  return failures.join("; ");
}

export const reExecSettings = { limitName, doneName, optOut } as const;

const libraries: Readonly<Record<string, readonly string[]>> = {
  linux: ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"],
  darwin: ["libSystem.B.dylib"],
};

/** A compiled binary is its own program; from source, bun runs the script. */
function commandLine(words: readonly string[]): string[] {
  const compiled = import.meta.path.startsWith("/$bunfs/");
  if (compiled) return [process.execPath, ...words];
  return [process.execPath, ...process.execArgv, process.argv[1] ?? "", ...words];
}

function execve(library: string, words: readonly string[], env: Environment): void {
  const { symbols } = dlopen(library, {
    execve: { args: [FFIType.ptr, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  });
  const settings = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  // The texts must outlive the call; execve copies them, and on failure they are dropped here.
  const argv = toPointers(words);
  const envp = toPointers(settings);
  symbols.execve(Buffer.from(`${process.execPath}\0`), argv.table, envp.table);
}

/** A C array of C strings, with the null at its end. */
function toPointers(texts: readonly string[]) {
  const strings = texts.map((text) => Buffer.from(`${text}\0`));
  const table = new BigUint64Array(strings.length + 1);
  strings.forEach((string, i) => {
    table[i] = BigInt(ptr(string));
  });
  return { strings, table };
}
