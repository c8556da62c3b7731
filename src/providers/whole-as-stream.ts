/**
 * A provider that was asked to stream and answered whole, as some do for some models: its answer as
 * the events of a stream, since a client that waits for events would read none of it.
 */
import { dialects } from "../dialects/registry.ts";
import type { Call } from "../domain/call.ts";
import type { ChatChoice, ChatReply, ChunkDelta } from "../domain/chat.ts";
import { encodeSse } from "../std/sse.ts";
import { isChat } from "./provider.ts";
import type { StreamReply, WholeReply } from "./read-reply.ts";

/** Itself where its operation has no events. @throws GatewayError upstream_invalid */
export function toStreamOfWhole(whole: WholeReply, call: Call): WholeReply | StreamReply {
  if (!isChat(call.operation)) return whole;
  const createdS = Math.floor(call.startedAtMs / 1000);
  const reply = whole.dialect.decodeReply(whole.body, { createdS });
  let left: Uint8Array | undefined = new TextEncoder().encode(eventsOf(reply).join(""));
  return {
    kind: "stream",
    dialect: dialects["openai-chat"],
    passes: call.dialect === "openai-chat",
    read() {
      const bytes = left;
      left = undefined;
      return bytes;
    },
    close: () => undefined, // the answer has been read to its end
  };
}

function eventsOf({ id, created, model, choices, usage }: ChatReply): string[] {
  const chunk = (more: object) =>
    encodeSse({
      event: "",
      data: JSON.stringify({ id, object: "chat.completion.chunk", created, model, ...more }),
    });
  return [
    // First the role alone, as OpenAI does: its own client counts the first event's logprobs twice.
    ...choices.map(({ index }) =>
      chunk({ choices: [{ index, delta: { role: "assistant" }, finish_reason: null }] }),
    ),
    ...choices.map((choice) => {
      const { index, logprobs } = choice;
      const said = { index, delta: toDelta(choice), finish_reason: null };
      return chunk({ choices: [logprobs ? { ...said, logprobs } : said] });
    }),
    // Whole it is, whether it says why it ended or not.
    ...choices.map(({ index, finish_reason }) =>
      chunk({ choices: [{ index, delta: {}, finish_reason: finish_reason ?? "stop" }] }),
    ),
    ...(usage ? [chunk({ choices: [], usage })] : []),
    encodeSse({ event: "", data: "[DONE]" }),
  ];
}

/** All that the message says, at once. */
function toDelta({ message }: ChatChoice): ChunkDelta {
  const { tool_calls: calls, role: _, ...said } = message;
  const delta = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== null));
  if (!Array.isArray(calls)) return delta;
  return { ...delta, tool_calls: calls.map((call, index) => ({ ...call, index })) };
}
