/** What Python's runtime is taken for: only what the gateway was built with, however it comes. */
import { afterEach, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { archiveName, runtimeFiles } from "./manifest.ts";
import { installedFolder, installRuntime, openRuntime } from "./runtime.ts";

const packageFolder = join(import.meta.dir, "..", "..", "..", "..", "node_modules", "pyodide");
const isThere = existsSync(packageFolder);
const folders: string[] = [];

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-runtime-"));
  folders.push(folder);
  return folder;
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const tarOf = async (top: string) =>
  new Bun.Archive(
    Object.fromEntries(
      await Promise.all(
        Object.keys(runtimeFiles).map(
          async (name) =>
            [`${top}/${name}`, await Bun.file(join(packageFolder, name)).bytes()] as const,
        ),
      ),
    ),
  ).bytes();

test("where there is none, the remedy is told", async () => {
  const dataDir = scratch();
  await expect(openRuntime({ dataDir, besideDir: dataDir })).rejects.toThrow(
    /routeiq skills install-python/,
  );
  const configured = join(dataDir, "nowhere");
  await expect(openRuntime({ dataDir, configured })).rejects.toThrow(/nothing is at .*nowhere/);
});

test.skipIf(!isThere)(
  "an archive beside the executable is unpacked into the data folder",
  async () => {
    const [dataDir, besideDir] = [scratch(), scratch()];
    const packed = Bun.zstdCompressSync(await tarOf("pyodide"), { level: 1 });
    writeFileSync(join(besideDir, archiveName), packed);
    const { folder } = await openRuntime({ dataDir, besideDir });
    expect(folder).toBe(installedFolder(dataDir));
    rmSync(join(besideDir, archiveName)); // what is installed is found from now on
    expect((await openRuntime({ dataDir, besideDir })).folder).toBe(folder);
  },
);

test.skipIf(!isThere)("npm's own archive will do", async () => {
  const dataDir = scratch();
  const folder = await installRuntime(
    Bun.gzipSync(new Uint8Array(await tarOf("package"))),
    dataDir,
  );
  expect(existsSync(join(folder, "pyodide.asm.wasm"))).toBe(true);
});

test.skipIf(!isThere)("one that was changed is refused, packed or not", async () => {
  const dataDir = scratch();
  const folder = installedFolder(dataDir);
  mkdirSync(folder, { recursive: true });
  for (const name of Object.keys(runtimeFiles))
    cpSync(join(packageFolder, name), join(folder, name));
  writeFileSync(join(folder, "pyodide.mjs"), "export const loadPyodide = () => evil()");
  await expect(openRuntime({ dataDir })).rejects.toThrow(/pyodide.mjs .* digest differs/);
  rmSync(join(folder, "pyodide.mjs"));
  await expect(openRuntime({ dataDir })).rejects.toThrow(/pyodide.mjs is missing/);
});

test("what is no archive is refused", async () => {
  await expect(installRuntime(new Uint8Array([1, 2, 3]), scratch())).rejects.toThrow(
    /cannot be read|is missing/,
  );
});

test.skipIf(!isThere)("the digests are those of the package that the lock file names", async () => {
  const { manifestText } = await import("../../../../scripts/python-runtime.ts");
  const written = await Bun.file(join(import.meta.dir, "manifest.ts")).text();
  expect(written).toBe(manifestText());
});
