/** Replies of operations other than chat: JSON, events, sound, or plain text. */

import { parseFrame } from "../dialects/decode-wire.ts";
import type { Dialect, StreamWatch } from "../dialects/dialect.ts";
import { decodeStreamError, isError } from "../dialects/openai-chat/errors.ts";
import { dialects } from "../dialects/registry.ts";
import type { Call } from "../domain/call.ts";
import { isObject } from "../domain/json.ts";
import type { Usage } from "../domain/usage.ts";
import type { OutboundReply } from "../security/outbound.ts";
import type { Cancel } from "../std/cancel.ts";
import type { SseFrame } from "../std/sse.ts";
import type { Provider } from "./provider.ts";
import {
  isEventStream,
  isOk,
  readUpTo,
  readWhole,
  replyLimit,
  toProviderError,
  toStream,
  type UpstreamReply,
} from "./read-reply.ts";
import { ofSpeech, ofSubtitles, usageOfReply } from "./usage-of-reply.ts";

interface Asked {
  readonly call: Call;
  readonly provider: Provider;
  readonly cancel: Cancel;
  readonly limitBytes: number | undefined;
}

/** @throws GatewayError */
export async function readOther(
  reply: OutboundReply,
  { call, provider, cancel, limitBytes }: Asked,
): Promise<UpstreamReply> {
  const dialect = provider.dialect;
  if (!isOk(reply)) throw await toProviderError(reply, dialect);
  const replied = { dialect, passes: true, limitBytes };
  if (call.stream && isEventStream(reply)) {
    return toStream(reply, { ...replied, dialect: eventsOf(call) }, cancel);
  }
  const contentType = reply.header("content-type") ?? "application/octet-stream";
  if (/\bjson\b/.test(contentType) || !call.operation.startsWith("audio_")) {
    return readWhole(reply, replied, call, provider.fit?.[call.operation]?.reply);
  }
  if (call.operation === "audio_speech") {
    return {
      ...toStream(reply, replied, cancel),
      opaque: { contentType, usage: ofSpeech(call.body) },
    };
  }
  const bytes = await readUpTo(reply, replyLimit(replied), "refuse");
  return { kind: "raw", bytes, contentType, usage: ofSubtitles(new TextDecoder().decode(bytes)) };
}

/** OpenAI's dialect of errors, with the events of this operation. */
function eventsOf(call: Call): Dialect {
  return { ...dialects["openai-chat"], createStreamWatch: () => createEventWatch(call) };
}

/**
 * `image_generation.partial_image` … `.completed`, `transcript.text.delta` … `.done`,
 * `speech.audio.delta` … `.done`: the last one tells what was used.
 */
export function createEventWatch({ operation, body: request }: Pick<Call, "operation" | "body">) {
  let complete = false;
  let usage: Usage | undefined;
  const watch: StreamWatch = {
    see({ event, data }: SseFrame) {
      const facts = { event: false, token: false, usageOnly: false, done: data === "[DONE]" };
      if (data === "" || facts.done) return facts;
      const body = parseFrame(data);
      if (isError(body, event)) return { ...facts, error: decodeStreamError(body) };
      const type = typeof body["type"] === "string" ? body["type"] : event;
      const last = /\.(done|completed)$/.test(type);
      complete ||= last;
      if (isObject(body["usage"])) usage = usageOfReply(operation, request, body);
      return { ...facts, event: true, token: !last };
    },
    end: () => ({ complete, ...(usage ? { usage } : {}) }),
  };
  return watch;
}
