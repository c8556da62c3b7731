/** Anthropic's Messages API. Source: https://platform.claude.com/docs/en/api/messages */
import type { WideDialect } from "../dialect.ts";
import { decodeRequest } from "./decode-request.ts";
import { decodeStream } from "./decode-stream.ts";
import { encodeRequest } from "./encode-request.ts";
import { encodeStream } from "./encode-stream.ts";
import { decodeError, encodeError, encodeStreamError } from "./errors.ts";
import { finishReasonOf, usageOf } from "./facts.ts";
import { decodeReply, encodeReply } from "./reply.ts";
import { createStreamWatch } from "./watch.ts";

export const anthropic: WideDialect = {
  name: "anthropic",
  decodeRequest,
  encodeReply,
  encodeStream,
  encodeError,
  encodeStreamError,
  encodeRequest,
  decodeReply,
  decodeStream,
  decodeError,
  usageOf,
  finishReasonOf,
  createStreamWatch,
};
