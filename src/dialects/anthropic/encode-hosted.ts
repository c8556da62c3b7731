/**
 * What tools of the gateway's own do during an answer, as Anthropic's connector to MCP servers tells
 * it: a block of the call, and one of its result.
 * Source: https://platform.claude.com/docs/en/agents-and-tools/mcp-connector
 */
import type { HostedEvent } from "../../domain/hosted-event.ts";
import type { JsonObject } from "../../domain/json.ts";

/** A block that is told in one go, and the JSON of its input, where it is a call. */
export interface HostedBlock {
  readonly block: JsonObject;
  readonly input?: string;
}

interface Held {
  readonly id: string;
  readonly label: string;
  readonly name: string;
  args: string;
}

export class HostedBlocks {
  readonly #stem: string;
  readonly #calls = new Map<number, Held>();

  /** @param messageId of the message that they stand in */
  constructor(messageId: string) {
    this.#stem = messageId.replace(/^[a-z]+[-_]/, "");
  }

  /** None for what Anthropic's form has no block for. */
  hear(event: HostedEvent): HostedBlock | undefined {
    if (event.kind === "begun") {
      const { call, label, name } = event;
      this.#calls.set(call, { id: `mcptoolu_${this.#stem}_${call}`, label, name, args: "" });
      return undefined;
    }
    const held = "call" in event ? this.#calls.get(event.call) : undefined;
    if (!held) return undefined;
    if (event.kind === "arguments") held.args += event.delta;
    if (event.kind === "running") {
      const { id, label, name } = held;
      const block = { type: "mcp_tool_use", id, name, server_name: label, input: {} };
      return { block, input: held.args };
    }
    if (event.kind !== "ended") return undefined;
    const content = [{ type: "text", text: event.output }];
    const failed = event.failure !== undefined;
    return {
      block: { type: "mcp_tool_result", tool_use_id: held.id, is_error: failed, content },
    };
  }
}
