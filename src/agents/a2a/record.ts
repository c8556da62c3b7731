/** What is left of every message: metrics, and of one that left the gateway a row in the event log. */
import type { Caller } from "../../domain/call.ts";
import type { CallOutcome } from "../../domain/decision.ts";
import type { Services } from "../../pipeline/services.ts";
import { recordTool } from "../../pipeline/tool-receipt.ts";
import type { Agent } from "./agent.ts";

export interface MessageEnd {
  /** The receipt's key. */
  readonly callId: string;
  readonly agent: Agent;
  readonly caller: Caller;
  readonly startedAtMs: number;
  readonly outcome: CallOutcome;
  readonly error?: string;
}

/** A model's own call, and a skill's run, have left their receipts already, with what they cost. */
export function recordMessage({ agent, ...end }: MessageEnd, services: Services): void {
  const { name, serves } = agent;
  services.telemetry
    .counter("routeiq.a2a.messages", "Messages to A2A agents.", ["agent", "kind", "outcome"])
    .add(1, name, serves.kind, end.outcome);
  if (serves.kind !== "upstream") return;
  recordTool({ ...end, operation: "a2a_message", name, provider: name }, services);
}
