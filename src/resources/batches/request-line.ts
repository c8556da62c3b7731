/** A line of a batch's input: read, and judged before anything runs. */
import { excerpt } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Operation } from "../../domain/model.ts";
import { LineInvalid, readLines } from "../../std/lines.ts";

export interface BatchLine {
  readonly number: number;
  readonly customId: string;
  readonly body: JsonObject;
}

/** OpenAI's `BatchError`. */
export interface BatchProblem extends JsonObject {
  readonly code: string;
  readonly message: string;
  readonly line: number | null;
  readonly param: string | null;
}

export interface BatchEndpoint {
  readonly operation: Operation;
  readonly dialect: "openai-chat" | "openai-completions" | "openai-responses";
}

export const batchEndpoints: Readonly<Record<string, BatchEndpoint>> = {
  "/v1/chat/completions": { operation: "chat", dialect: "openai-chat" },
  "/v1/completions": { operation: "completion", dialect: "openai-completions" },
  "/v1/responses": { operation: "responses", dialect: "openai-responses" },
  "/v1/embeddings": { operation: "embedding", dialect: "openai-chat" },
  "/v1/moderations": { operation: "moderation", dialect: "openai-chat" },
};

export const inputLimits = {
  lineBytes: 8 * 1024 * 1024,
  customIdChars: 512,
  /** Told of one input; the rest is as wrong. */
  problems: 100,
} as const;

export class LineRefused extends Error {
  readonly problem: BatchProblem;
  constructor(problem: BatchProblem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** @throws LineRefused */
export function parseLine(text: string, number: number, endpoint: string): BatchLine {
  const refuse = (code: string, param: string | null, message: string) => {
    throw new LineRefused({ code, message, line: number, param });
  };
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    refuse("invalid_json_line", null, "This line is not valid JSON.");
  }
  if (!isObject(line)) return refuse("invalid_request", null, "This line is no JSON object.");
  const { custom_id: id, method, url, body } = line;
  if (typeof id !== "string" || id === "" || id.length > inputLimits.customIdChars) {
    const most = inputLimits.customIdChars;
    refuse(
      "invalid_custom_id",
      "custom_id",
      `'custom_id' must be a text of 1 to ${most} characters.`,
    );
  }
  if (method !== "POST") refuse("invalid_method", "method", "'method' must be 'POST'.");
  if (url !== endpoint) {
    const message = `'url' must be the batch's endpoint, '${endpoint}', not '${excerpt(String(url))}'.`;
    refuse("mismatched_endpoint", "url", message);
  }
  if (!isObject(body)) return refuse("missing_body", "body", "'body' must be the request's body.");
  if (typeof body["model"] !== "string" || body["model"] === "") {
    refuse("missing_model", "body.model", "'body.model' must name a model.");
  }
  return { number, customId: String(id), body };
}

export interface JudgedInput {
  readonly total: number;
  readonly model: string | undefined;
  readonly problems: readonly BatchProblem[];
}

/** Reads all of it once. A line is held at a time, and the custom ids. */
export async function judgeInput(
  content: AsyncIterable<Uint8Array>,
  { endpoint, maxRequests }: { readonly endpoint: string; readonly maxRequests: number },
): Promise<JudgedInput> {
  const problems: BatchProblem[] = [];
  const seen = new Set<string>();
  let model: string | undefined;
  let total = 0;
  const tell = (problem: BatchProblem) => {
    if (problems.length < inputLimits.problems) problems.push(problem);
  };
  try {
    for await (const { number, text } of readLines(content, inputLimits.lineBytes)) {
      total += 1;
      if (total > maxRequests) {
        const message = `The input has more than ${maxRequests} requests, which is the limit.`;
        tell({ code: "too_many_tasks", message, line: number, param: null });
        break;
      }
      const line = judge(text, number, endpoint, tell);
      if (!line) continue;
      model ??= String(line.body["model"]);
      if (seen.has(line.customId)) {
        const message = `'custom_id' '${excerpt(line.customId)}' stands in an earlier line as well.`;
        tell({ code: "duplicate_custom_id", message, line: number, param: "custom_id" });
      }
      seen.add(line.customId);
    }
  } catch (thrown) {
    if (!(thrown instanceof LineInvalid)) throw thrown;
    const message = `This line cannot be read: ${thrown.message}.`;
    tell({ code: "invalid_json_line", message, line: thrown.line, param: null });
  }
  if (total === 0) {
    tell({ code: "empty_file", message: "The input has no request.", line: null, param: null });
  }
  return { total, model, problems };
}

function judge(
  text: string,
  number: number,
  endpoint: string,
  tell: (problem: BatchProblem) => void,
): BatchLine | undefined {
  try {
    return parseLine(text, number, endpoint);
  } catch (thrown) {
    if (!(thrown instanceof LineRefused)) throw thrown;
    tell(thrown.problem);
    return undefined;
  }
}
