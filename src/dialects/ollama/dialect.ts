/** Ollama's own chat, spoken to providers. Source: https://docs.ollama.com/api/chat */
import { isObject } from "../../domain/json.ts";
import { createNdjsonParser } from "../../std/ndjson.ts";
import type { ProviderDialect } from "../dialect.ts";
import { decodeStream } from "./decode-stream.ts";
import { withMedia } from "./encode-messages.ts";
import { encodeRequest } from "./encode-request.ts";
import { decodeError } from "./errors.ts";
import { decodeReply, finishReasonOf } from "./reply.ts";
import { usageOf } from "./wire.ts";

export const ollama = {
  name: "ollama",
  framing: { contentType: "ndjson", createParser: () => createNdjsonParser() },
  isReply: (body) => isObject(body["message"]),
  encodeRequest,
  withMedia,
  decodeReply,
  decodeStream,
  decodeError,
  usageOf,
  finishReasonOf,
} as const satisfies ProviderDialect;
