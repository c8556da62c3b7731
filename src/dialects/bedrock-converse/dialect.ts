/**
 * Amazon Bedrock's Converse, spoken to providers.
 * Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
 */
import { isObject } from "../../domain/json.ts";
import type { ProviderDialect } from "../dialect.ts";
import { decodeStream } from "./decode-stream.ts";
import { withMedia } from "./encode-media.ts";
import { encodeRequest } from "./encode-request.ts";
import { decodeError } from "./errors.ts";
import { eventStream } from "./event-stream.ts";
import { decodeReply, finishReasonOf } from "./reply.ts";
import { usageOf } from "./usage.ts";

export const bedrockConverse = {
  name: "bedrock-converse",
  framing: eventStream,
  isReply: (body) => isObject(body["output"]) && typeof body["stopReason"] === "string",
  encodeRequest,
  withMedia,
  decodeReply,
  decodeStream,
  decodeError,
  usageOf,
  finishReasonOf,
} as const satisfies ProviderDialect;
