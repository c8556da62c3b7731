/** `routeiq why`: a call's receipt, from the running gateway, or from the data folder when none runs. */
import { resolve } from "node:path";
import type { Receipt } from "../domain/decision.ts";
import { GatewayError } from "../domain/errors.ts";
import type { CallEvent } from "../domain/event.ts";
import { priorStrategy } from "../routing/prior/prior-router.ts";
import { createOutbound } from "../security/outbound.ts";
import { assert } from "../std/assert.ts";
import { openEvents } from "../storage/sqlite/read-events.ts";
import { type CommandContext, defineCommand } from "./command.ts";
import { UsageError } from "./parse.ts";
import { showReceipt } from "./receipt-text.ts";
import type { Replay } from "./replay.ts";

export const whyCommand = defineCommand({
  name: "why",
  summary: "Say why a call went where it went: candidates, scores, attempts, cost, feedback.",
  args: { call_id: "the x-routeiq-call-id of an answer" },
  flags: {
    url: {
      description: "The gateway to ask. Default: ROUTEIQ_URL, else the one on this machine.",
      value: "URL",
    },
    "data-dir": {
      description: "Read this data folder instead. Default where no gateway runs: ./.routeiq.",
      value: "FOLDER",
    },
    replay: {
      description:
        "Execute the decision again, from what the data folder has of the call, and compare.",
    },
    artifact: {
      description:
        "With this trained router's folder. Default: the gateway's own copy of the router that decided. Implies --replay.",
      value: "FOLDER",
    },
  },
  example: "routeiq why 0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
  async run(context) {
    const [callId] = context.args;
    assert(callId !== undefined, "the parser holds a command to its arguments");
    const { artifact, replay } = context.flags;
    if (replay || artifact !== undefined) return replayCall(callId, context);
    const receipt = await findReceipt(callId, context);
    context.out.json(receipt);
    for (const line of showReceipt(receipt)) context.out.line(line);
    return 0;
  },
});

/** The features of a call are in the event log alone, so the folder is read, also while a gateway runs. */
async function replayCall(callId: string, { flags, env, out }: CommandContext): Promise<number> {
  const given = typeof flags["data-dir"] === "string" ? flags["data-dir"] : undefined;
  const dataDir = resolve(given ?? (env["ROUTEIQ_DATA_DIR"] || ".routeiq"));
  const event = readFolder(callId, dataDir);
  const { receipt } = event;
  const { openCopy, openFolder } = await import("./replay-artifact.ts");
  const { replay } = await import("./replay.ts");
  const { readState } = await import("../learning/online/online-files.ts");
  const decidedBy = receipt.decision?.artifact ?? "none";
  const folder = typeof flags["artifact"] === "string" ? flags["artifact"] : undefined;
  const router = await openDecider();
  try {
    const findState = (id: number, artifact: string) => readState(dataDir, { id, artifact });
    const replayed = await replay(event, { router, findState });
    out.json({ receipt, replay: replayed });
    for (const line of showReceipt(receipt)) out.line(line);
    out.line("");
    const by = folder ?? (router.prior ? router.strategy : decidedBy);
    out.line(sayReplay(replayed, by, decidedBy));
    return replayed.same ? 0 : 1;
  } finally {
    router.close();
  }

  async function openDecider() {
    if (folder !== undefined) return openFolder(folder);
    if (receipt.decision?.strategy !== priorStrategy) return openCopy(dataDir, decidedBy);
    const { openPrior } = await import("./replay-prior.ts");
    return openPrior(receipt.decision);
  }
}

function sayReplay(
  { same, exact, compared, largestDifference, chosen }: Replay,
  by: string,
  decidedBy: string,
): string {
  const choice =
    chosen === undefined
      ? "what was free, or an option, chose, which is in no record"
      : `${chosen} chosen again`;
  if (exact) {
    return `Executed again with ${by}: the same scores for ${compared} candidates, bit for bit; ${choice}.`;
  }
  const by6 = `largest difference ${largestDifference}`;
  if (same) {
    return `Executed again with ${by}: the same scores for ${compared} candidates (${by6}); ${choice}.`;
  }
  return `Executed again with ${by}: the scores differ (${by6}); ${choice}. Is it the artifact that decided, ${decidedBy}?`;
}

async function findReceipt(callId: string, context: CommandContext): Promise<Receipt> {
  const { flags, env, out } = context;
  const folder = typeof flags["data-dir"] === "string" ? flags["data-dir"] : undefined;
  const url = typeof flags["url"] === "string" ? flags["url"] : env["ROUTEIQ_URL"] || undefined;
  if (folder !== undefined && url === undefined) return readFolder(callId, resolve(folder)).receipt;
  const asked = url ?? `http://127.0.0.1:${env["PORT"] || "4000"}`;
  try {
    return await askGateway(callId, asked, context);
  } catch (thrown) {
    const unreachable = thrown instanceof GatewayError && thrown.code === "upstream_unreachable";
    if (!unreachable || url !== undefined) throw thrown;
    const stored = resolve(env["ROUTEIQ_DATA_DIR"] || ".routeiq");
    out.note(`No gateway runs at ${asked}; reading ${stored}.`);
    return readFolder(callId, stored).receipt;
  }
}

function readFolder(callId: string, folder: string): CallEvent {
  const reader = openEvents(folder);
  try {
    const event = reader.find(callId);
    if (event) return event;
    throw new GatewayError("not_found", `No call "${callId}" is in ${reader.path}.`);
  } finally {
    reader.close();
  }
}

const answerLimitMs = 10_000;

async function askGateway(
  callId: string,
  url: string,
  { env, signal }: CommandContext,
): Promise<Receipt> {
  if (!URL.canParse(url)) throw new UsageError(`--url takes a URL, not "${url}".`);
  const key = env["ROUTEIQ_API_KEY"] || env["LITELLM_MASTER_KEY"];
  const response = await createOutbound().fetch({
    url: new URL(`/v1/routing/decisions/${encodeURIComponent(callId)}`, url).href,
    method: "GET",
    headers: key ? { authorization: `Bearer ${key}` } : {},
    signal: AbortSignal.any([signal, AbortSignal.timeout(answerLimitMs)]),
    trust: "operator",
  });
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as Receipt;
  throw refusalOf(response.status, text, url);
}

function refusalOf(status: number, text: string, url: string): GatewayError {
  const said = messageIn(text) ?? `${url} answered with status ${status}.`;
  if (status === 401 || status === 403) {
    const remedy = "Set ROUTEIQ_API_KEY or LITELLM_MASTER_KEY to the gateway's key.";
    return new GatewayError("invalid_api_key", `${said} ${remedy}`);
  }
  return new GatewayError(status === 404 ? "not_found" : "upstream_failed", said);
}

function messageIn(text: string): string | undefined {
  try {
    const body = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof body.error?.message === "string" ? body.error.message : undefined;
  } catch {
    return undefined; // not a gateway of ours: the status says it
  }
}
