/**
 * The import rows of docs/ARCHITECTURE.md, held: a file imports only from its folder and lower rows,
 * and no two files need one another, be it for a type alone.
 */
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
  gateway: 8.9, // the parts of gateway.ts
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

/** What a source imports of `src`, by path below it; models/, wasm/ and package.json lie beside it. */
const targetsOf = ({ path, imports }: Source): string[] =>
  imports
    .filter((target) => target.startsWith("."))
    .map((target) => relative(src, normalize(join(src, dirname(path), target))))
    .filter((target) => !target.startsWith(".."));

const topOf = (path: string) => path.split("/")[0] ?? path;
const code = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "");

describe("imports point down", () => {
  test.each(sources.map((source) => [source.path, source] as const))("%s", (path, source) => {
    const from = topOf(path);
    const row = rows[from];
    expect(row, `src/${from} has no row in test/architecture.test.ts`).toBeDefined();
    const upward = targetsOf(source).filter(
      (target) => topOf(target) !== from && (rows[topOf(target)] ?? 99) >= (row ?? 0),
    );
    expect(upward).toEqual([]);
  });
});

/**
 * Files that need one another, types and late imports counted. What two files share belongs into a
 * third beneath both: an interface where one only has to be told of the other.
 */
test("no circle of imports", () => {
  const graph = new Map(sources.map((source) => [source.path, targetsOf(source)]));
  expect(findCircles(graph)).toEqual([]);
});

/** The strongly connected groups of more than one file (or a file that imports itself), by Tarjan. */
function findCircles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const order = new Map<string, number>();
  const path: string[] = [];
  const circles: string[][] = [];

  function visit(file: string): number {
    order.set(file, order.size);
    let low = order.get(file) ?? 0;
    path.push(file);
    for (const target of graph.get(file) ?? []) {
      if (!graph.has(target)) continue;
      const seen = path.includes(target) ? (order.get(target) ?? 0) : low;
      low = Math.min(low, order.has(target) ? seen : visit(target));
    }
    if (low !== order.get(file)) return low;
    const group = path.splice(path.indexOf(file));
    if (group.length > 1 || graph.get(file)?.includes(file)) circles.push(group.sort());
    return low;
  }

  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return circles;
}

test.each([
  ["a line", { a: ["b"], b: ["c"], c: [] }, []],
  ["two ways to one file", { a: ["b", "c"], b: ["d"], c: ["d"], d: [] }, []],
  ["itself", { a: ["a"] }, [["a"]]],
  [
    "two and three",
    { a: ["b"], b: ["a", "c"], c: ["d"], d: ["e"], e: ["c"] },
    [
      ["c", "d", "e"],
      ["a", "b"],
    ],
  ],
] as const)("circles are found: %s", (_name, imports, expected) => {
  expect(findCircles(new Map(Object.entries(imports)))).toEqual(expected.map((each) => [...each]));
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
