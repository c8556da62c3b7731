/**
 * Online learning on disk, in the data folder: what was learnt so far, and the last states that were
 * served, so that receipts can be executed again. Per process: several share a data folder.
 *
 *   online/<first 16 hex of the router's sha256>/sums-<process>.json
 *   online/<…>/states/<id>.json
 *   online/spend-<process>.json
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isObject } from "../../domain/json.ts";
import type { ExplorationSpend } from "../../routing/exploration-budget.ts";
import { type OnlineState, onlineInputs } from "../../routing/online.ts";
import { hasCode, writeFileAtomic } from "../../storage/file/atomic-write.ts";
import { emptySums, type OnlineSums } from "./online-regression.ts";

/** States that are kept per router; some 50 kB each at 14 models. */
export const keptStates = 200;
/** Folders of routers that are kept: the one in force and those it may return to. */
export const keptRouters = 4;

export interface KeptSums {
  /** States that were made of them. */
  readonly steps: number;
  readonly sums: OnlineSums;
}

const folderOf = (dataDir: string, artifact: string) =>
  join(dataDir, "online", artifact.slice(0, 16));

/** Undefined where none are kept, or they are of something else: learning then begins anew. */
export async function readSums(
  dataDir: string,
  of: { readonly artifact: string; readonly process: number; readonly labels: number },
): Promise<KeptSums | undefined> {
  const path = join(folderOf(dataDir, of.artifact), `sums-${of.process}.json`);
  const file = await readJson(path);
  if (!isObject(file) || file["artifact"] !== of.artifact) return undefined;
  const { steps } = file;
  const empty = emptySums(of.labels);
  const squares = toFloats(file["squares"], empty.squares.length);
  const products = toFloats(file["products"], empty.products.length);
  const weight = toFloats(file["weight"], empty.weight.length);
  if (!squares || !products || !weight || typeof steps !== "number") return undefined;
  return { steps, sums: { squares, products, weight } };
}

/** @throws GatewayError storage_failed */
export async function writeSums(
  dataDir: string,
  of: { readonly artifact: string; readonly process: number },
  { steps, sums }: KeptSums,
): Promise<void> {
  const text = JSON.stringify({
    artifact: of.artifact,
    steps,
    squares: toText(sums.squares),
    products: toText(sums.products),
    weight: toText(sums.weight),
  });
  await put(join(folderOf(dataDir, of.artifact), `sums-${of.process}.json`), text);
}

/** Writes a state; the oldest one goes past `keptStates`. @throws GatewayError storage_failed */
export async function writeState(dataDir: string, state: OnlineState): Promise<void> {
  const folder = join(folderOf(dataDir, state.artifact), "states");
  const { id, artifact, mean, covariance } = state;
  const text = JSON.stringify({
    id,
    artifact,
    mean: toText(mean),
    covariance: toText(covariance),
  });
  await put(join(folder, `${id}.json`), text);
  const ids = (await list(folder)).map((name) => Number.parseInt(name, 10)).filter(Number.isFinite);
  ids.sort((a, b) => a - b);
  for (const old of ids.slice(0, -keptStates))
    await rm(join(folder, `${old}.json`), { force: true });
}

/** A state that was served. Undefined where it is not kept, or is damaged. */
export async function readState(
  dataDir: string,
  { artifact, id }: Pick<OnlineState, "artifact" | "id">,
): Promise<OnlineState | undefined> {
  const file = await readJson(join(folderOf(dataDir, artifact), "states", `${id}.json`));
  if (!isObject(file) || file["artifact"] !== artifact) return undefined;
  const mean = toSingles(file["mean"]);
  const covariance = toSingles(file["covariance"]);
  if (!mean || covariance?.length !== mean.length * onlineInputs) return undefined;
  return { id, artifact, mean, covariance };
}

/** Folders of routers that were not used lately. */
export async function sweep(dataDir: string, artifact: string): Promise<void> {
  const root = join(dataDir, "online");
  const names = (await list(root)).filter((name) => /^[0-9a-f]{16}$/.test(name));
  const used = await Promise.all(
    names.map(async (name) => {
      const own = name === artifact.slice(0, 16);
      const stats = await Bun.file(join(root, name, "states"))
        .stat()
        .catch(() => undefined);
      return { name, atMs: own ? Number.POSITIVE_INFINITY : (stats?.mtimeMs ?? 0) };
    }),
  );
  used.sort((a, b) => b.atMs - a.atMs);
  for (const { name } of used.slice(keptRouters)) {
    await rm(join(root, name), { recursive: true, force: true });
  }
}

/** What exploration spent, so that a restart gives it no new money. */
export async function readSpend(
  dataDir: string,
  process: number,
): Promise<ExplorationSpend | undefined> {
  const file = await readJson(join(dataDir, "online", `spend-${process}.json`));
  if (!isObject(file)) return undefined;
  const { hour, hourUsd, day, dayUsd } = file;
  const all = [hour, hourUsd, day, dayUsd];
  if (!all.every((one): one is number => typeof one === "number" && one >= 0)) return undefined;
  return { hour, hourUsd, day, dayUsd } as ExplorationSpend;
}

/** @throws GatewayError storage_failed */
export function writeSpend(dataDir: string, process: number, spend: ExplorationSpend) {
  return put(join(dataDir, "online", `spend-${process}.json`), JSON.stringify(spend));
}

async function put(path: string, text: string): Promise<void> {
  await writeFileAtomic(path, new TextEncoder().encode(text), { mode: 0o600 });
}

/** Undefined where there is none, or it is no JSON: both mean that nothing was learnt. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (hasCode(error, "ENOENT") || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}

function toText(values: Float32Array | Float64Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
}

function toFloats(text: unknown, length: number): Float64Array | undefined {
  if (typeof text !== "string") return undefined;
  const bytes = Buffer.from(text, "base64");
  if (bytes.length !== length * 8) return undefined;
  const values = new Float64Array(new Uint8Array(bytes).buffer);
  return values.every(Number.isFinite) ? values : undefined;
}

function toSingles(text: unknown): Float32Array | undefined {
  if (typeof text !== "string") return undefined;
  const bytes = Buffer.from(text, "base64");
  if (bytes.length % 4 !== 0) return undefined;
  const values = new Float32Array(new Uint8Array(bytes).buffer);
  return values.every(Number.isFinite) ? values : undefined;
}
