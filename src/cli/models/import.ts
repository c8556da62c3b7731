/** `routeiq models import`: routers of scikit-learn, joblib, Torch and LLMRouter become artifacts. */
import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import { createKernels } from "../../kernels/create.ts";
import { sha256Hex } from "../../learning/artifacts/canonical.ts";
import { writeArtifactFolder } from "../../learning/artifacts/folder.ts";
import { checkScores, checkTolerance } from "../../learning/import/check-scores.ts";
import { importRouter } from "../../learning/import/import-router.ts";
import type { ImportedRouter, ImportOptions } from "../../learning/import/imported-router.ts";
import { readRoutingLabels } from "../../learning/import/routing-labels.ts";
import { checkTrust, type ImportTrust, toImportTrust } from "../../learning/import/trust.ts";
import { importLimits } from "../../learning/import/values.ts";
import {
  type EmbedderIdentity,
  identifyUnnamed,
  openImported,
  toArtifact,
} from "../../learning/import/write-artifact.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { openEmbedder, rawFlag, textFlag } from "../learning-inputs.ts";
import { UsageError } from "../parse.ts";
import { reportRefusal } from "./repository.ts";

const activations = ["identity", "relu", "tanh", "logistic"] as const;

export const importCommand = defineCommand({
  name: "models import",
  summary: "Turn a router of scikit-learn, joblib, Torch or LLMRouter into ours. Runs none of it.",
  args: { "FILE…": ".pkl, .joblib, .pt or .pth; of several, each gets a folder in DIR" },
  flags: {
    out: { description: "Folder for the router, as `train --out` writes it.", value: "DIR" },
    embedder: {
      description:
        "What its embeddings come from: a folder (ONNX), model:NAME of the configuration, or static.",
      value: "WHICH",
    },
    raw: rawFlag,
    labels: {
      description: "A Torch file's outputs in their order; a regression's small and large model.",
      value: "NAME,NAME…",
    },
    "routing-data": {
      description: "LLMRouter's routing data, for the order of a Torch file's outputs.",
      value: "FILE",
    },
    activation: {
      description: `Between a Torch network's layers: ${activations.join(", ")}. Default relu.`,
      value: "NAME",
    },
    threshold: { description: "HybridLLM's router_threshold. Default 0.5.", value: "SHARE" },
    manifest: {
      description: "The predecessor's signed manifest, which must list the file by its hash.",
      value: "FILE",
    },
    "public-key": {
      description:
        "The manifest's Ed25519 key, base64 or PEM. (HMAC: LLMROUTER_MODEL_HMAC_SECRET.)",
      value: "FILE",
    },
    check: {
      description:
        'What the original said: lines of {"embedding": […], "scores": …, "predicted"}. Differences over 1e-5 fail.',
      value: "FILE",
    },
    name: { description: 'Name of the router. Default: "router".', value: "NAME" },
  },
  example: "routeiq models import knn.pkl --embedder ./all-MiniLM-L6-v2 --out ./router",
  run: (context) => reportRefusal(context, () => runImport(context)),
});

async function runImport(context: CommandContext): Promise<number> {
  const { args, flags } = context;
  const out = textFlag(flags, "out");
  if (!out) throw new UsageError("--out DIR is needed: the folder for the router.");
  const routing = textFlag(flags, "routing-data");
  const options = {
    ...toOptions(flags),
    ...(routing === undefined ? {} : { routing: await readRoutingLabels(routing) }),
  };
  for (const file of args) {
    const folder = args.length === 1 ? out : join(out, basename(file).replace(/\.[^.]*$/, ""));
    await importFile(file, folder, { context, options });
  }
  return 0;
}

function toOptions(flags: CommandContext["flags"]): ImportOptions {
  const labels = textFlag(flags, "labels");
  const activation = textFlag(flags, "activation");
  const threshold = textFlag(flags, "threshold");
  const known = activations.find((name) => name === activation);
  if (activation !== undefined && !known) {
    throw new UsageError(`--activation ${activation} is not one of: ${activations.join(", ")}.`);
  }
  const share = threshold === undefined ? undefined : Number(threshold || Number.NaN);
  if (share !== undefined && !(share >= 0 && share <= 1)) {
    throw new UsageError(`--threshold ${threshold} is not a number from 0 to 1.`);
  }
  return {
    ...(labels === undefined ? {} : { labels: labels.split(",").map((label) => label.trim()) }),
    ...(known ? { activation: known } : {}),
    ...(share === undefined ? {} : { threshold: share }),
  };
}

interface Importing {
  readonly context: CommandContext;
  readonly options: ImportOptions;
}

async function importFile(file: string, folder: string, { context, options }: Importing) {
  const { flags, out } = context;
  const bytes = await readBounded(file);
  const trusted = within(file, () => checkTrust(file, bytes, toTrust(context)));
  const imported = within(file, () => importRouter(bytes, options));
  const { embedder, close } = await openIdentity(imported, file, context);
  try {
    const content = await toArtifact(imported, {
      name: textFlag(flags, "name") ?? "router",
      embedder,
      kernels: createKernels,
      source: sha256Hex(bytes),
    });
    await runCheck(content.files, { imported, embedder, context });
    await writeArtifactFolder(folder, content);
  } catch (error) {
    throw named(file, error);
  } finally {
    close();
  }
  report({ file, folder, imported, embedder, trusted }, out);
}

/** Flags go before the predecessor's variables. */
function toTrust({ flags, env }: CommandContext): ImportTrust {
  const manifest = textFlag(flags, "manifest");
  const publicKeyPath = textFlag(flags, "public-key");
  const { publicKey, ...given } = toImportTrust(env);
  return {
    ...given,
    ...(manifest === undefined ? {} : { manifest }),
    ...(publicKeyPath === undefined ? (publicKey ? { publicKey } : {}) : { publicKeyPath }),
  };
}

/** The file's bytes, once: what is hashed is what is read. */
async function readBounded(file: string): Promise<Uint8Array> {
  const found = await stat(file).catch((cause: unknown) => {
    const absent = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const why = absent ? "does not exist" : "cannot be read";
    throw new GatewayError("invalid_request", `${file} ${why}`, { cause });
  });
  if (!found.isFile()) throw new GatewayError("invalid_request", `${file} is no file`);
  if (found.size > importLimits.fileBytes) {
    throw new GatewayError(
      "invalid_request",
      `${file} has ${found.size} bytes; at most ${importLimits.fileBytes} are read`,
    );
  }
  return new Uint8Array(await readFile(file));
}

function within<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw named(file, error);
  }
}

function named(file: string, error: unknown): unknown {
  if (!(error instanceof GatewayError) || error.code !== "artifact_refused") return error;
  return new GatewayError("artifact_refused", `${file}: ${error.message}`, { cause: error });
}

/** The embedder that the artifact will name. It is opened for its identity alone. */
async function openIdentity(
  { inputs }: ImportedRouter,
  file: string,
  { flags, out }: Pick<CommandContext, "flags" | "out">,
): Promise<{ readonly embedder: EmbedderIdentity; close(): void }> {
  if (textFlag(flags, "embedder") === undefined && inputs > 0) {
    out.note(
      `${file} was trained on embeddings of ${inputs} numbers, and does not say whose. The router ` +
        "is written, and serves nowhere until you import it with --embedder: the folder of that " +
        "sentence transformer as ONNX, or model:NAME, an embeddings model of your configuration.",
    );
    return { embedder: identifyUnnamed(inputs), close: () => undefined };
  }
  return await openEmbedder(flags, inputs || undefined);
}

interface Checking {
  readonly imported: ImportedRouter;
  readonly embedder: EmbedderIdentity;
  readonly context: CommandContext;
}

/** Before anything is written: an import that scores otherwise than the original is none. */
async function runCheck(
  files: ReadonlyMap<string, Uint8Array>,
  { imported, embedder, context: { flags, out } }: Checking,
): Promise<void> {
  const path = textFlag(flags, "check");
  if (path === undefined) return;
  const router = await openImported(files, { embedder, kernels: createKernels });
  const check = await checkScores(router, imported, path).finally(() => router.close());
  const { rows, largestDifference, predicted, otherwise } = check;
  const far = largestDifference.toExponential(1);
  const same = `, the best is as predicted in ${predicted - otherwise} of ${predicted}`;
  out.line(`${path}: ${rows} rows, scores differ by at most ${far}${predicted > 0 ? same : ""}`);
  if (largestDifference <= checkTolerance) return;
  throw new GatewayError(
    "artifact_refused",
    `its scores differ from the original's by ${far}, over ${checkTolerance}`,
  );
}

interface Report {
  readonly file: string;
  readonly folder: string;
  readonly imported: ImportedRouter;
  readonly embedder: EmbedderIdentity;
  /** How the file was trusted. */
  readonly trusted: string;
}

function report(
  { file, folder, imported, embedder, trusted }: Report,
  out: CommandContext["out"],
): void {
  const { strategy, origin, inputs, labels } = imported;
  out.line(`${file} (${trusted}): ${origin}, ${inputs} inputs, ${labels.length} models`);
  out.line(`  ${labels.slice(0, 20).join(", ")}${labels.length > 20 ? ", …" : ""}`);
  out.line(`wrote ${folder} (${strategy}, embedder ${embedder.id})`);
  out.line(
    "Labels that are no litellm_params.model need a line in routing_strategy_args.label_mapping. " +
      `Publish it: routeiq models publish ${folder} REPOSITORY --key keys --force (an import ` +
      "brings no evidence for the gate).",
  );
  out.json({
    ok: true,
    file,
    folder,
    strategy,
    origin,
    inputs,
    labels,
    embedder: embedder.id,
    trusted,
  });
}
