/** Cohere's chat, second version, spoken to providers. Source: https://docs.cohere.com/reference/chat */
import { isObject } from "../../domain/json.ts";
import type { ProviderDialect } from "../dialect.ts";
import { decodeStream } from "./decode-stream.ts";
import { encodeRequest } from "./encode-request.ts";
import { decodeError } from "./errors.ts";
import { decodeReply, finishReasonOf } from "./reply.ts";
import { usageOf } from "./wire.ts";

export const cohere = {
  name: "cohere",
  isReply: (body) => isObject(body["message"]) && typeof body["finish_reason"] === "string",
  encodeRequest,
  decodeReply,
  decodeStream,
  decodeError,
  usageOf,
  finishReasonOf,
} as const satisfies ProviderDialect;
