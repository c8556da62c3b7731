/**
 * Tools of a run that the gateway runs beside its searches: MCP servers and skills, on the contract and
 * within the limits of those in chat (`routeiq_settings.hosted_tools`). A run that goes on after its
 * caller's outputs opens them anew.
 */
import type { Caller } from "../../domain/call.ts";
import type { ChatTool } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import type {
  HostedAsk,
  HostedResult,
  HostedSource,
  HostedToolSettings,
} from "../../domain/hosted-tool.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { asData } from "../../pipeline/hosted/as-data.ts";
import { type Entry, EntryFailed, openEntries } from "../../pipeline/hosted/entries.ts";
import { type RunOptions, runCalls } from "../../pipeline/hosted/run-calls.ts";
import {
  createToolbox,
  type Offered,
  sourceOf,
  type Toolbox,
  toFunction,
} from "../../pipeline/hosted/toolbox.ts";
import type { ToolCall } from "./ask-model.ts";

/** `type` of an assistant's tools that are opened here. */
export const runToolTypes: ReadonlySet<unknown> = new Set(["mcp", "skill"]);

export interface RunToolParts {
  readonly sources: readonly HostedSource[];
  readonly settings: HostedToolSettings;
  readonly caller: Caller;
  readonly runId: string;
  readonly signal: AbortSignal;
}

/** A call that has run, for the model and for the run's steps. */
export interface RanToolCall {
  readonly call: ToolCall;
  /** For the model: as data. */
  readonly content: string;
  readonly result: HostedResult;
}

export interface RunTools {
  readonly functions: readonly ChatTool[];
  /** Whether the gateway runs it; else it is the caller's. */
  has(name: string): boolean;
  /** In the order of the calls. @throws the signal's reason */
  run(calls: readonly ToolCall[]): Promise<readonly RanToolCall[]>;
  close(): void;
}

/** @throws GatewayError as the tools' owners do; invalid_request where there are too many */
export async function openRunTools(
  tools: readonly JsonObject[],
  { sources, settings, ...of }: RunToolParts,
): Promise<RunTools> {
  const { caller, runId: requestId, signal } = of;
  const entries = tools.flatMap((entry, i): Entry[] => {
    const source = sources.find(({ type }) => type === entry["type"]);
    return source ? [{ entry, source, param: `tools[${i}]` }] : [];
  });
  const ask: Omit<HostedAsk, "param"> = { caller, requestId, signal };
  for (const { source, entry, param } of entries) source.assertGranted?.(entry, { ...ask, param });
  const opened = await openEntries(entries, ask).catch((thrown: unknown) => {
    throw thrown instanceof EntryFailed ? thrown.error : thrown;
  });
  const close = () => {
    for (const { set } of opened) set.close();
  };
  let toolbox: Toolbox;
  try {
    toolbox = createToolbox(opened, {
      taken: tools.flatMap(namesOf),
      maxTools: settings.maxTools,
      // As in chat: a run has no words for an approval but its caller's own functions.
      approvalUnsaid: false,
    });
  } catch (thrown) {
    close();
    throw thrown;
  }
  let runs = 0;
  const find = (name: string): Offered | undefined => {
    const offered = toolbox.get(name);
    return offered?.needsApproval ? undefined : offered;
  };
  return {
    functions: toolbox.offered.map(toFunction),
    has: (name) => find(name) !== undefined,
    async run(calls) {
      const options: RunOptions = { ...ask, settings, left: settings.maxCalls - runs };
      runs += calls.length;
      const toRun = calls.flatMap((call, number) => {
        const offered = find(call.name);
        return offered ? [{ number, offered, args: call.args }] : [];
      });
      const ran = new Map<number, RanToolCall>();
      for await (const told of runCalls(toRun, options)) {
        if (!("ran" in told)) continue;
        const { call, result } = told.ran;
        const asked = calls[call.number];
        const content = asData(result.text, sourceOf(call.offered));
        if (asked) ran.set(call.number, { call: asked, content, result });
      }
      return [...ran.entries()].sort(([a], [b]) => a - b).map(([, each]) => each);
    },
    close,
  };
}

function namesOf({ type, function: called }: JsonObject): readonly string[] {
  if (type === "file_search") return ["file_search"];
  const name = isObject(called) ? called["name"] : undefined;
  return typeof name === "string" ? [name] : [];
}

export const tookTooLong = ({ maxMs }: HostedToolSettings) =>
  new GatewayError(
    "hosted_tool_limit",
    `The models and tools of this run took longer than ${maxMs / 1000} s (routeiq_settings.hosted_tools.max_seconds).`,
  );

/** @throws GatewayError hosted_tool_limit */
export function assertMoney(spentMicroUsd: number, { maxCostMicroUsd }: HostedToolSettings): void {
  if (maxCostMicroUsd === undefined || spentMicroUsd < maxCostMicroUsd) return;
  const [spent, limit] = [spentMicroUsd / 1e6, maxCostMicroUsd / 1e6];
  throw new GatewayError(
    "hosted_tool_limit",
    `The models and tools of this run have cost ${spent} USD; the limit is ${limit} (routeiq_settings.hosted_tools.max_cost_usd).`,
  );
}
