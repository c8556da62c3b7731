/** `routeiq models verify`: what a gateway would decide about a repository, and why. */
import { type ArtifactRuntime, artifactRuntime } from "../../learning/artifacts/format.ts";
import { readRootFile } from "../../learning/artifacts/keys.ts";
import { ArtifactRefusal, refuse } from "../../learning/artifacts/refusal.ts";
import { toCandidate } from "../../learning/artifacts/repository-source.ts";
import { createStateFile, type TrustState } from "../../learning/artifacts/state.ts";
import { stillServed } from "../../learning/artifacts/still-served.ts";
import { formatTime, parseTime } from "../../learning/artifacts/time.ts";
import {
  type RootPin,
  type Verified,
  type VerifyInput,
  verifyRepository,
} from "../../learning/artifacts/verify.ts";
import { systemClock } from "../../std/clock.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { embedderFlag, openEmbedder, rawFlag } from "../learning-inputs.ts";
import { UsageError } from "../parse.ts";
import { countFrom, textFrom, withRepository } from "./repository.ts";

export const verifyCommand = defineCommand({
  name: "models verify",
  summary:
    "Check a repository's signatures, versions and files, as a gateway does before it serves.",
  args: { repository: "folder, file:///… or s3://bucket/prefix" },
  flags: {
    root: { description: "The pinned root: its file, or sha256:<hex> of it.", value: "FILE" },
    state: {
      description: "File of the counters; read, and on success written, as a gateway does.",
      value: "FILE",
    },
    now: { description: "Judge expiry at this time instead of now.", value: "ISO-8601" },
    name: { description: "Name of the router. Default `router`.", value: "NAME" },
    embedder: embedderFlag,
    raw: rawFlag,
    "no-load": { description: "Metadata and hashes only; the router is not built and tested." },
    format: { description: "Of a repository made for another runtime.", value: "NAME" },
    "feature-schema": { description: "Of a repository made for another runtime.", value: "N" },
  },
  example: "routeiq models verify s3://models/router --root 1.root.json",
  run: async (context) => {
    const request = toRequest(context);
    return await withRepository(context.args[0] ?? "", context, async (store) => {
      const verdict = await judge({ ...request, store, signal: context.signal });
      report(verdict, context);
      return verdict.refusal ? 1 : 0;
    });
  },
});

type Request = Omit<VerifyInput, "store" | "pin" | "state"> & {
  readonly root: string;
  readonly stateFile: string | undefined;
  readonly flags: CommandContext["flags"];
};

function toRequest({ flags }: CommandContext): Request {
  const root = textFrom(flags["root"]);
  if (!root) throw new UsageError("--root is missing: trust begins with your own root file.");
  const runtime: ArtifactRuntime = {
    version: artifactRuntime.version,
    format: textFrom(flags["format"]) ?? artifactRuntime.format,
    featureSchema: countFrom(
      flags["feature-schema"],
      artifactRuntime.featureSchema,
      "feature-schema",
      0,
    ),
  };
  const foreign =
    runtime.format !== artifactRuntime.format ||
    runtime.featureSchema !== artifactRuntime.featureSchema;
  return {
    root,
    stateFile: textFrom(flags["state"]),
    flags,
    name: textFrom(flags["name"]) ?? "router",
    runtime,
    nowMs: nowFrom(flags["now"]),
    // Another runtime's files cannot be built here, whether or not --no-load is given.
    strictContent: flags["no-load"] !== true && !foreign,
  };
}

function nowFrom(value: unknown): number {
  if (value === undefined) return systemClock.now();
  const ms = parseTime(value) ?? Date.parse(String(value));
  if (Number.isNaN(ms)) throw new UsageError("--now takes a time like 2026-11-25T22:00:00Z.");
  return ms;
}

interface Verdict {
  /** Version in force after this: the new one, or what may still be served. */
  readonly active: number;
  readonly verified?: Verified;
  readonly refusal?: ArtifactRefusal;
}

async function judge(request: Request & Pick<VerifyInput, "store">): Promise<Verdict> {
  const stateFile =
    request.stateFile === undefined ? undefined : createStateFile(request.stateFile);
  let state: TrustState | undefined;
  let pin: RootPin | undefined;
  try {
    state = await stateFile?.load();
    pin = await readPin(request.root);
    const verified = await verifyRepository({ ...request, pin, state });
    if (request.strictContent) await loadAndTest(verified, request.flags);
    await stateFile?.save(verified.state);
    return { active: verified.release.version, verified };
  } catch (error) {
    if (!(error instanceof ArtifactRefusal)) throw error;
    const active = pin
      ? await stillServed({ ...request, pin, state })
      : (state?.releaseVersion ?? 0);
    return { active, refusal: error };
  }
}

/** As a gateway would before a swap. @throws ArtifactRefusal format, runtime, self_test */
async function loadAndTest(verified: Verified, flags: CommandContext["flags"]): Promise<void> {
  const [{ createKernels }, { buildRouter }] = await Promise.all([
    import("../../kernels/create.ts"),
    import("../../learning/artifacts/build-router.ts"),
  ]);
  const { embedder, openOnnx, close } = await openEmbedder(flags);
  try {
    const parts = { embedder, openOnnx, kernels: createKernels, clock: systemClock };
    const router = await buildRouter(toCandidate(verified), parts);
    router.close();
  } finally {
    close();
  }
}

async function readPin(root: string): Promise<RootPin> {
  const hash = /^sha256:([0-9a-f]{64})$/i.exec(root)?.[1];
  if (hash) return { sha256: hash.toLowerCase() };
  try {
    return { bytes: await readRootFile(root) };
  } catch (error) {
    return refuse("fetch", `the pinned root ${root} cannot be read`, error);
  }
}

function report({ active, verified, refusal }: Verdict, { out }: CommandContext): void {
  out.json({ ok: refusal === undefined, active, code: refusal?.refusal ?? null });
  if (verified) {
    const { release, timestamp, chain } = verified;
    out.line(
      `ok: ${release.name} ${release.version}, root ${chain.root.version}, ` +
        `timestamp ${timestamp.version} until ${formatTime(timestamp.expiresMs)}, ` +
        `release until ${formatTime(release.expiresMs)}`,
    );
  }
  if (refusal) {
    const still = active > 0 ? `release ${active} stays in force` : "nothing is in force";
    out.line(`refused (${refusal.refusal}): ${refusal.message}; ${still}`);
    out.line(refusal.remedy);
  }
}
