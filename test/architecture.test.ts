/** The import rows of docs/ARCHITECTURE.md, held: a file imports only from its folder and lower rows. */
import { describe, expect, test } from "bun:test";
import { dirname, join, normalize, relative } from "node:path";
import { Glob } from "bun";

const src = join(import.meta.dir, "..", "src");

/** Top-level folder or file → row. Equal rows may not import each other. */
const rows: Readonly<Record<string, number>> = {
  "main.ts": 11,
  "worker.ts": 8.5, // the types of its services are for gateway.ts
  cli: 10,
  "gateway.ts": 9,
  "observation.ts": 8.8,
  "learnt-routing.ts": 8.9,
  "memory-apis.ts": 8.9,
  http: 8,
  agents: 7,
  learning: 7,
  resources: 7,
  pipeline: 6,
  cache: 5,
  plugins: 5,
  policy: 5,
  providers: 5,
  routing: 5,
  dialects: 4,
  embedding: 4,
  telemetry: 4,
  config: 3.3,
  storage: 3.2,
  kernels: 3.1,
  security: 3.1,
  domain: 2,
  std: 1,
};

const transpiler = new Bun.Transpiler({ loader: "ts" });

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const sources: Source[] = [];
for await (const path of new Glob("**/*.ts").scan({ cwd: src })) {
  if (path.endsWith(".test.ts")) continue;
  const text = await Bun.file(join(src, path)).text();
  // Type-only imports are erased by the transpiler, so they are read from the text as well.
  const named = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((m) => m[1] ?? "");
  const scanned = transpiler.scanImports(text).map((entry) => entry.path);
  sources.push({ path, text, imports: [...new Set([...named, ...scanned])] });
}

const topOf = (path: string) => path.split("/")[0] ?? path;
const code = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "");

describe("imports point down", () => {
  test.each(sources.map((source) => [source.path, source] as const))("%s", (path, source) => {
    const from = topOf(path);
    const row = rows[from];
    expect(row, `src/${from} has no row in test/architecture.test.ts`).toBeDefined();
    const upward = source.imports
      .filter((target) => target.startsWith("."))
      .map((target) => relative(src, normalize(join(src, dirname(path), target))))
      .filter((target) => !target.startsWith("..")) // models/, wasm/, package.json: data beside src
      .filter((target) => topOf(target) !== from && (rows[topOf(target)] ?? 99) >= (row ?? 0));
    expect(upward).toEqual([]);
  });
});

describe("what stays in one place", () => {
  const rules = [
    ["Date.now", /\bDate\.now\(/, /^(std\/|config\/load\.ts)/],
    ["Math.random", /\bMath\.random\(/, /^std\//],
    ["process.env", /\bprocess\.env\b|\bBun\.env\b/, /^(std\/|config\/load\.ts|main\.ts)/],
    ["bare fetch", /(?<![.\w])fetch\(/, /^security\/outbound\.ts$/],
    // The front joins connections to our own other server, by a name that is no address.
    [
      "a socket",
      /\bBun\.connect\(|from "node:(net|tls|https)"/,
      /^(security\/|http\/front\/tunnel)/,
    ],
  ] as const;
  test.each(rules)("%s", (_name, pattern, allowed) => {
    const found = sources.filter((s) => !allowed.test(s.path) && pattern.test(code(s.text)));
    expect(found.map((s) => s.path)).toEqual([]);
  });

  test("who may ask a metadata service", () => {
    const found = sources.filter((s) => /"instance"/.test(code(s.text)));
    expect(found.map((s) => s.path).sort()).toEqual([
      "providers/signers/google.ts",
      "security/destination.ts",
      "security/ssrf.ts",
    ]);
  });

  test("domain and dialects do no I/O", () => {
    const found = sources.filter(
      (s) =>
        /^(domain|dialects)\//.test(s.path) &&
        s.imports.some((target) => /^(node:|bun)/.test(target)),
    );
    expect(found.map((s) => s.path)).toEqual([]);
  });
});
