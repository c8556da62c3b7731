/** Python's runtime for tests: from the package, with one kept memory for all test files of a machine. */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  archiveName,
  runtimeFiles,
  runtimeVersion,
} from "../../src/agents/skills/python/manifest.ts";
import { makeSnapshot } from "../../src/agents/skills/python/processes.ts";
import { systemClock } from "../../src/std/clock.ts";

export const pythonPackage = join(import.meta.dir, "..", "..", "node_modules", "pyodide");
export const hasPython = existsSync(join(pythonPackage, "pyodide.asm.wasm"));

/** Puts the memory of a started interpreter into a data folder: it costs seconds to make. */
export async function primePython(dataDir: string): Promise<void> {
  const name = `python-${runtimeVersion}.snapshot`;
  const kept = join(tmpdir(), `routeiq-test-${process.getuid?.() ?? 0}-${name}`);
  if (!existsSync(kept)) await makeSnapshot({ folder: pythonPackage, snapshot: kept }, systemClock);
  mkdirSync(join(dataDir, "runtimes"), { recursive: true });
  copyFileSync(kept, join(dataDir, "runtimes", name));
}

/** The archive as it is shipped, quickly packed. */
export async function packPython(folder: string): Promise<string> {
  const files: Record<string, Uint8Array> = {};
  for (const name of Object.keys(runtimeFiles)) {
    files[`pyodide/${name}`] = await Bun.file(join(pythonPackage, name)).bytes();
  }
  const path = join(folder, archiveName);
  writeFileSync(path, Bun.zstdCompressSync(await new Bun.Archive(files).bytes(), { level: 1 }));
  return path;
}
