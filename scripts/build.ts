/**
 * `npm run build [-- --target linux-arm64 …]`: the gateway as one executable, `dist/routeiq`.
 *
 * Measured choices: docs/decisions/0001. For another target Bun fetches that platform's runtime from the npm registry (`@oven/bun-<os>-<arch>`,
 * kept in Bun's install cache, so once per machine), or takes the file named by `--runtime`.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { Glob } from "bun";
import { bun, root, run } from "./run.ts";

/** Our name → Bun's. */
const targets: Readonly<Record<string, string>> = {
  "linux-x64": "bun-linux-x64",
  "linux-arm64": "bun-linux-arm64",
  "linux-x64-musl": "bun-linux-x64-musl",
  "linux-arm64-musl": "bun-linux-arm64-musl",
  "darwin-arm64": "bun-darwin-arm64",
  "darwin-x64": "bun-darwin-x64",
  "windows-x64": "bun-windows-x64",
};

/** The entry, then the workers that it starts by file name. */
const entryPoints = ["src/main.ts", "src/worker.ts", "src/embedding/onnx-worker.ts"];

/** What the binary is made of: newer than it means that it is stale. */
const sources = ["{src,wasm,models}/**/*", "scripts/build.ts", "package.json", "package-lock.json"];

export const hostTarget = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;

export function binaryPath(target: string = hostTarget): string {
  const name = target === hostTarget ? "routeiq" : `routeiq-${target}`;
  return join(root, "dist", target.startsWith("windows") ? `${name}.exe` : name);
}

export interface BuildOptions {
  readonly target?: string;
  readonly outfile?: string;
  /** A Bun executable of the target's platform, where none can be fetched. */
  readonly runtime?: string;
}

/** Builds one executable; gives its path. @throws Error when the target is unknown or Bun fails. */
export async function buildBinary(options: BuildOptions = {}): Promise<string> {
  const { target = hostTarget, runtime } = options;
  const bunTarget = targets[target];
  if (!bunTarget) {
    throw new Error(`unknown target "${target}"; one of: ${Object.keys(targets).join(", ")}`);
  }
  const path = options.outfile ?? binaryPath(target);
  // Built aside and renamed: who starts the binary meanwhile gets the old one or the new, whole.
  const aside = `${path}.build`;
  mkdirSync(aside, { recursive: true });
  const made = join(aside, basename(path));
  try {
    await compile(
      entryPoints.map((entry) => join(root, entry)),
      { ROUTEIQ_COMMIT: commit(), ROUTEIQ_TARGET: target },
      {
        outfile: made,
        // For the host, the running Bun is the runtime: nothing is fetched.
        ...(target === hostTarget ? {} : { target: bunTarget as Bun.Build.CompileTarget }),
        ...(runtime ? { executablePath: runtime } : {}),
      },
    );
    renameSync(made, path);
    return path;
  } finally {
    rmSync(aside, { recursive: true, force: true }); // source maps too: the binary carries its own
  }
}

/** The way every executable of ours is made; tests make theirs with it, too. @throws Error */
export async function compile(
  entrypoints: string[],
  facts: Readonly<Record<string, string>>,
  to: Partial<Bun.CompileBuildOptions>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-build-"));
  try {
    await bundle(entrypoints, facts, { to, plugins: [packFiles, await packLibraries(folder)] });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function bundle(
  entrypoints: string[],
  facts: Readonly<Record<string, string>>,
  {
    to,
    plugins,
  }: { readonly to: Partial<Bun.CompileBuildOptions>; readonly plugins: Bun.BunPlugin[] },
): Promise<void> {
  const result = await Bun.build({
    entrypoints,
    target: "bun",
    format: "esm",
    splitting: true,
    bytecode: true,
    sourcemap: "linked",
    // Not identifiers: mangled, they make Elysia lose request bodies (its compiler reads source).
    minify: { whitespace: true, syntax: true, identifiers: false },
    define: Object.fromEntries(
      Object.entries(facts).map(([name, value]) => [name, JSON.stringify(value)]),
    ),
    plugins,
    // The folder it is started from must not change what it does.
    compile: { autoloadDotenv: false, autoloadBunfig: false, ...to },
  });
  if (!result.success) throw new Error(result.logs.map(String).join("\n"));
}

/** onnxruntime's 14 MB become 3; whoever reads a file sees by its first bytes that it is packed. */
const packFiles: Bun.BunPlugin = {
  name: "pack files",
  setup(build) {
    build.onLoad(
      { filter: /(ort-wasm[\w-]*\.wasm|src\/providers\/catalog\.json)$/ },
      async ({ path }) => ({
        contents: Bun.zstdCompressSync(await Bun.file(path).bytes(), { level: 9 }),
        loader: "file",
      }),
    );
  },
};

/**
 * Libraries that few gateways ever load, each group behind a module that names what is used of it.
 * Among the binary's own modules they would be there three times, as text, as bytecode and in the
 * source map: 12 MB for 1.
 */
const packed = [
  "src/resources/vector-stores/parsers.ts",
  "src/providers/signers/aws-sdk.ts",
  "src/providers/signers/aws-chain.ts",
  "src/storage/s3/sdk.ts",
  "src/storage/segments/parquet-library.ts",
  "src/agents/mcp/sdk.ts",
] as const;

/** Those modules as compressed files that are unpacked, once, where they are imported. */
async function packLibraries(folder: string): Promise<Bun.BunPlugin> {
  const modules = new Map<string, string>();
  for (const [i, module] of packed.entries()) {
    const { outputs } = await Bun.build({
      entrypoints: [join(root, module)],
      target: "bun",
      format: "esm",
      minify: true,
    });
    const [output] = outputs;
    if (!output || outputs.length > 1) throw new Error(`${module} could not be packed as one file`);
    const file = join(folder, `library-${i}.js.zst`);
    const text = new Uint8Array(await output.arrayBuffer());
    await Bun.write(file, Bun.zstdCompressSync(text, { level: 19 }));
    const names = Object.keys(await import(join(root, module)));
    modules.set(join(root, module), unpacked(file, names));
  }
  return {
    name: "pack libraries",
    setup(build) {
      build.onLoad(
        { filter: /\/(parsers|aws-sdk|aws-chain|sdk|parquet-library)\.ts$/ },
        ({ path }) => {
          const contents = modules.get(path);
          return contents === undefined ? undefined : { contents, loader: "js" };
        },
      );
    },
  };
}

const unpacked = (file: string, names: readonly string[]) => `
import { readFileSync } from "node:fs";
import packed from ${JSON.stringify(file)} with { type: "file" };
const library = await import(URL.createObjectURL(new Blob(
  [Bun.zstdDecompressSync(readFileSync(packed))],
  { type: "text/javascript" },
)));
export const { ${names.join(", ")} } = library;
`;

/** The host's binary, built now if it is missing or older than what it is made of. */
export function ensureBinary(): string {
  const path = binaryPath();
  if (!isStale(path)) return path;
  if (run([bun, import.meta.path]) !== 0) throw new Error("the executable could not be built");
  return path;
}

function isStale(path: string): boolean {
  if (!existsSync(path)) return true;
  const built = statSync(path).mtimeMs;
  const files = sources.flatMap((pattern) => [...new Glob(pattern).scanSync({ cwd: root })]);
  return files
    .filter((file) => !file.endsWith(".test.ts"))
    .some((file) => statSync(join(root, file)).mtimeMs > built);
}

/** From git, else from ROUTEIQ_COMMIT (an image is built without the repository). */
function commit(): string {
  const given = process.env["ROUTEIQ_COMMIT"];
  if (given) return given;
  const git = (...args: string[]) =>
    Bun.spawnSync(["git", ...args], { cwd: root, stderr: "ignore" })
      .stdout.toString()
      .trim();
  try {
    const head = git("rev-parse", "--short=12", "HEAD");
    if (!head) return "unknown";
    return git("status", "--porcelain", "--untracked-files=no") ? `${head}+changes` : head;
  } catch {
    return "unknown"; // no git here
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      target: { type: "string", multiple: true, short: "t" },
      outfile: { type: "string" },
      runtime: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    console.log(
      `npm run build -- [--target NAME]… [--outfile FILE] [--runtime FILE]\ntargets: all ${Object.keys(targets).join(" ")}`,
    );
    return 0;
  }
  const asked = (values.target ?? [hostTarget]).flatMap((name) => name.split(","));
  const wanted = asked.includes("all") ? Object.keys(targets) : asked;
  const { outfile, runtime } = values;
  for (const target of wanted) {
    const path = await buildBinary({
      target,
      ...(outfile && wanted.length === 1 ? { outfile } : {}),
      ...(runtime ? { runtime } : {}),
    });
    const megabytes = (statSync(path).size / 1e6).toFixed(1);
    console.log(`${basename(path)}: ${megabytes} MB, ${target}`);
  }
  return 0;
}

if (import.meta.main) {
  try {
    process.exit(await main());
  } catch (error) {
    console.error(`build: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  }
}
