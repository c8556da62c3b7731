/**
 * OpenAI's older text completions. A caller who speaks it is answered by a model of chat as well, and
 * a model that knows only this answers callers of chat.
 * Source: https://platform.openai.com/docs/api-reference/completions
 */
import type { Dialect } from "../dialect.ts";
import { decodeError, encodeError, encodeStreamError } from "../openai-chat/errors.ts";
import { finishReasonOf, usageOf } from "../openai-chat/reply.ts";
import { createStreamWatch } from "../openai-chat/watch.ts";
import { decodeReply, encodeReply } from "./reply.ts";
import { decodeRequest, encodeRequest } from "./request.ts";
import { decodeStream, encodeStream } from "./stream.ts";

export const openaiCompletions: Dialect = {
  name: "openai-completions",
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
