/** OpenAI's chat completions. Source: https://platform.openai.com/docs/api-reference/chat */
import type { WideDialect } from "../dialect.ts";
import { decodeRequest } from "./decode-request.ts";
import { encodeRequest } from "./encode-request.ts";
import { decodeError, encodeError, encodeStreamError } from "./errors.ts";
import { decodeReply, encodeReply, finishReasonOf, usageOf } from "./reply.ts";
import { decodeStream, encodeStream } from "./stream.ts";
import { createStreamWatch } from "./watch.ts";

export const openaiChat: WideDialect = {
  name: "openai-chat",
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
