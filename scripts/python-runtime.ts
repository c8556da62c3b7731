/**
 * Python's runtime for skills, beside the binary: `dist/pyodide-<version>.tar.zst`, packed from the
 * npm package. With `--manifest` it writes the digests that the gateway demands, from the package in
 * node_modules, whose own digest the lock file holds.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { archiveName, runtimeFiles } from "../src/agents/skills/python/manifest.ts";
import { root } from "./run.ts";

const folder = join(root, "node_modules", "pyodide");
const manifestPath = join(root, "src", "agents", "skills", "python", "manifest.ts");
const names = [
  "package.json",
  "pyodide-lock.json",
  "pyodide.asm.mjs",
  "pyodide.asm.wasm",
  "pyodide.mjs",
  "python_stdlib.zip",
];

export function readPackage(): { readonly version: string; readonly files: RuntimeFiles } {
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const files = names.map((name) => {
    const bytes = readFileSync(join(folder, name));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return [name, { bytes: bytes.length, sha256 }] as const;
  });
  return { version, files: Object.fromEntries(files) };
}

type RuntimeFiles = Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;

export function manifestText(): string {
  const { version, files } = readPackage();
  const rows = Object.entries(files).map(
    ([name, { bytes, sha256 }]) =>
      `  ${JSON.stringify(name)}: {\n    bytes: ${bytes.toLocaleString("en").replaceAll(",", "_")},\n    sha256: "${sha256}",\n  },`,
  );
  return `/** Python's runtime for skills: which it is, file by file. Written by scripts/python-runtime.ts. */

export const runtimeVersion = "${version}";
export const archiveName = "pyodide-${version}.tar.zst";
/** Where npm keeps the package; anything that holds the same files will do. */
export const packageUrl = "https://registry.npmjs.org/pyodide/-/pyodide-${version}.tgz";

export interface RuntimeFile {
  readonly bytes: number;
  readonly sha256: string;
}

export const runtimeFiles: Readonly<Record<string, RuntimeFile>> = {
${rows.join("\n")}
};
`;
}

/** Gives its path. The files in the order of their names. */
export async function packRuntime(): Promise<string> {
  const entries = Object.keys(runtimeFiles).map((name) => {
    const bytes = readFileSync(join(folder, name));
    return [`pyodide/${name}`, new Uint8Array(bytes)] as const;
  });
  const tar = await new Bun.Archive(Object.fromEntries(entries)).bytes();
  const path = join(root, "dist", archiveName);
  mkdirSync(join(root, "dist"), { recursive: true });
  writeFileSync(path, Bun.zstdCompressSync(tar, { level: 19 }));
  return path;
}

if (import.meta.main) {
  if (process.argv.includes("--manifest")) writeFileSync(manifestPath, manifestText());
  else {
    const path = await packRuntime();
    const megabytes = (Bun.file(path).size / 1e6).toFixed(1);
    console.log(`${archiveName}: ${megabytes} MB`);
  }
}
