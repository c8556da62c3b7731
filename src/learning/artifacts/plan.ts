/** `routing_strategy_args` to a plan: where routers come from, or why none can come, and what to do. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { RoutingStrategyArgs } from "../../config/config.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { ArtifactStatus } from "../../routing/slot.ts";
import type { ImportTrust } from "../import/trust.ts";
import { sha256Hex } from "./canonical.ts";
import { unsignedName } from "./folder.ts";
import { type S3Settings, toFolder } from "./open-repository.ts";
import type { SourceConfig } from "./thread.ts";
import { parseDuration } from "./time.ts";
import type { RootPin } from "./verify.ts";

export interface PlanInput {
  /** `llmrouter-knn`, for the words of a remedy. */
  readonly strategy: string;
  readonly args: RoutingStrategyArgs;
  readonly dataDir: string;
  readonly s3: S3Settings;
  /** How the predecessor's files are trusted; undefined where none is taken. */
  readonly imports?: ImportTrust | undefined;
}

export type ArtifactPlan =
  | { readonly kind: "static"; readonly status: ArtifactStatus }
  | {
      readonly kind: "source";
      readonly source: SourceConfig;
      readonly intervalMs: number;
      readonly maxStaleMs: number;
      readonly hotReload: boolean;
      readonly emptyRemedy: string;
    };

const defaultReloadSeconds = 300;
const defaultMaxStale = "7d";

/** @throws GatewayError config_invalid, for a `max_stale` or `model_root` that says nothing */
export function toArtifactPlan(input: PlanInput): ArtifactPlan {
  const { args, strategy, dataDir, s3 } = input;
  const path = args.model_path;
  const name = args.model_name ?? "router";
  const steps = trainingSteps(strategy);
  if (path === undefined) {
    return stop("missing", "fetch", `No model_path is set in routing_strategy_args. ${steps}`);
  }
  const format = foreignFormat(path);
  const foreign = format === aPickle ? toForeign(path, name, input) : undefined;
  if (format && !foreign) {
    const remedy = `${path} is ${format}, which RouteIQ does not load: loading it could run code. ${format === aPickle ? conversionSteps(path) : steps}`;
    return stop("refused", "format", remedy);
  }
  const maxStaleMs = toDuration(args.max_stale ?? defaultMaxStale);
  const timing = {
    intervalMs: Math.max(1, args.reload_interval ?? defaultReloadSeconds) * 1000,
    maxStaleMs,
    hotReload: args.hot_reload ?? true,
    emptyRemedy: steps,
  };
  if (foreign) return { kind: "source", source: foreign, ...timing };
  const unsigned = toUnsigned(path, args, name);
  if (unsigned?.kind === "static") return unsigned;
  if (unsigned) return { kind: "source", source: unsigned, ...timing };
  const pin = toPin(args.model_root);
  if ("status" in pin) return { kind: "static", status: pin };
  const trust = "sha256" in pin ? pin.sha256 : sha256Hex(pin.bytes);
  // Another root is another line of trust: its counters and copy stand apart.
  const copyFolder = join(dataDir, "artifacts", `${safeName(name)}-${trust.slice(0, 12)}`);
  const address = path.startsWith("s3://") ? path : toFolder(path);
  return {
    kind: "source",
    source: { kind: "repository", address, pin, name, copyFolder, maxStaleMs, s3 },
    ...timing,
  };
}

/** How to come by a router: what readiness and the log say while there is none. */
export function trainingSteps(strategy: string): string {
  return (
    "Train one from what this gateway has seen: " +
    `routeiq train --events ./.routeiq --strategy ${strategy} --out ./router (or --data FILE). ` +
    "Then: routeiq models keygen --out keys; " +
    "routeiq models publish ./router ./models --key keys; and set model_path: ./models, " +
    "model_root: keys/1.root.json. Routing is static until then."
  );
}

function stop(status: "missing" | "refused", code: string, remedy: string): ArtifactPlan {
  return { kind: "static", status: { status, code, remedy } };
}

const aPickle = "a pickle (a model of the predecessor, say)";

/** How a predecessor's file comes into service. */
export function conversionSteps(path: string): string {
  return (
    `Convert it, which reads it as data: routeiq models import ${path} --embedder DIR --out ./router ` +
    "(DIR: its sentence transformer as ONNX; or model:NAME). Then: routeiq models keygen --out keys; " +
    "routeiq models publish ./router ./models --key keys --force; and set model_path: ./models, " +
    "model_root: keys/1.root.json. Or set LLMROUTER_ALLOW_PICKLE_MODELS=true, and it is converted at " +
    "every start. Or train a new one: routeiq train --events ./.routeiq --out ./router. Routing is " +
    "static until then."
  );
}

function toForeign(
  path: string,
  name: string,
  { imports, s3 }: PlanInput,
): (SourceConfig & { kind: "foreign" }) | undefined {
  if (!imports) return undefined;
  const whole = path.startsWith("s3://") ? path : toFolder(path);
  const at = whole.lastIndexOf("/");
  const [address, key] = [whole.slice(0, at) || "/", whole.slice(at + 1)];
  return { kind: "foreign", address, key, name, trust: imports, s3 };
}

function foreignFormat(path: string): string | undefined {
  const suffix = /\.(pkl|pickle|joblib|pt|pth|bin|h5|hdf5|npy|npz|onnx|json|safetensors)$/i.exec(
    path,
  )?.[1];
  if (!suffix) return undefined;
  const kind = suffix.toLowerCase();
  if (/^(pkl|pickle|joblib|pt|pth|bin)$/.test(kind)) return aPickle;
  return `a single .${kind} file and no repository`;
}

function toDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new GatewayError(
    "config_invalid",
    `routing_strategy_args.max_stale: "${text}" is no span like 7d, 12h or 30m`,
  );
}

/** What `routeiq train --out` wrote, taken as it is where the operator allows that. */
function toUnsigned(
  path: string,
  args: RoutingStrategyArgs,
  name: string,
): (SourceConfig & { kind: "folder" }) | (ArtifactPlan & { kind: "static" }) | undefined {
  if (path.startsWith("s3://")) return undefined;
  const folder = toFolder(path);
  const isRepository = existsSync(join(folder, "timestamp.json"));
  const isUnsigned = !isRepository && existsSync(join(folder, unsignedName));
  const allowed = args.allow_unsigned_local === true;
  if (allowed && (isUnsigned || (!isRepository && args.model_root === undefined))) {
    return { kind: "folder", path: folder, name };
  }
  if (!isUnsigned) return undefined;
  const remedy =
    `${path} holds an unsigned router. Publish it: routeiq models keygen --out keys; ` +
    `routeiq models publish ${path} ./models --key keys; and set model_path: ./models, model_root: keys/1.root.json. ` +
    "To try it out on this machine, set allow_unsigned_local: true.";
  return { kind: "static", status: { status: "refused", code: "threshold", remedy } };
}

function toPin(root: string | undefined): RootPin | ArtifactStatus {
  if (root === undefined) {
    const remedy =
      "No model_root is set, so nothing can be verified. Set it to sha256:<hex of 1.root.json>, as `routeiq models keygen` printed it, or to the file.";
    return { status: "refused", code: "threshold", remedy };
  }
  const hash = /^sha256:(.*)$/i.exec(root)?.[1];
  if (hash !== undefined) {
    if (/^[0-9a-f]{64}$/i.test(hash)) return { sha256: hash.toLowerCase() };
    throw new GatewayError(
      "config_invalid",
      "routing_strategy_args.model_root: sha256: is followed by 64 hex digits",
    );
  }
  const file = root.startsWith("file:") ? toFolder(root) : resolve(root);
  if (!existsSync(file) || !statSync(file).isFile()) {
    const remedy = `model_root ${root} does not exist. Put the root file of \`routeiq models keygen\` there, or write its hash.`;
    return { status: "refused", code: "fetch", remedy };
  }
  return { bytes: new Uint8Array(readFileSync(file)) };
}

function safeName(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 64);
}
