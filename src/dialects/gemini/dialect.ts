/** Gemini's generateContent. Source: https://ai.google.dev/api/generate-content */
import type { WideDialect } from "../dialect.ts";
import { decodeRequest } from "./decode-request.ts";
import { decodeStream } from "./decode-stream.ts";
import { encodeRequest } from "./encode-request.ts";
import { encodeStream } from "./encode-stream.ts";
import { decodeError, encodeError, encodeStreamError } from "./errors.ts";
import { decodeReply, encodeReply, finishReasonOf } from "./reply.ts";
import { usageOf } from "./usage.ts";
import { createStreamWatch } from "./watch.ts";

export const gemini: WideDialect = {
  name: "gemini",
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
