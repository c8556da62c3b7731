/** OpenAI's Responses API. Source: https://platform.openai.com/docs/api-reference/responses */
import type { WideDialect } from "../dialect.ts";
import { decodeError, encodeError } from "../openai-chat/errors.ts";
import { decodeRequest } from "./decode-request.ts";
import { decodeStream } from "./decode-stream.ts";
import { encodeRequest } from "./encode-request.ts";
import { encodeStream } from "./encode-stream.ts";
import { encodeStreamError } from "./errors.ts";
import { decodeReply, encodeReply, finishReasonOf, usageOf } from "./reply.ts";
import { createStreamWatch } from "./watch.ts";

export const openaiResponses: WideDialect = {
  name: "openai-responses",
  tellsStreamErrors: true,
  decodeRequest,
  encodeReply,
  encodeStream,
  encodeError,
  encodeStreamError: (error) => encodeStreamError(error),
  encodeRequest,
  decodeReply,
  decodeStream,
  decodeError,
  usageOf,
  finishReasonOf,
  createStreamWatch,
};
