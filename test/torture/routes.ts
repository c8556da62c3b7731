/** The routes that take a caller's JSON, with a good body each: what the torture tests begin from. */
import { isObject, type JsonObject } from "../../src/domain/json.ts";

export interface TortureRoute {
  readonly name: string;
  readonly path: string;
  readonly dialect: "openai" | "anthropic" | "gemini";
  readonly headers?: Readonly<Record<string, string>>;
  /** The caller's body reaches an OpenAI upstream byte for byte but for the model. */
  readonly passes: boolean;
  readonly good: JsonObject;
}

/** Models for them, all at one upstream. */
export function yamlOf(upstream: string, more = ""): string {
  const params = (provider: string, base: string) =>
    `{model: ${provider}/m, api_key: k, api_base: "${upstream}${base}"}`;
  return `
model_list:
  - {model_name: m, litellm_params: ${params("openai", "/v1")}}
  - {model_name: claude, litellm_params: ${params("anthropic", "")}}
  - {model_name: ranker, litellm_params: ${params("cohere", "")}}
${more}`;
}

const hi = [{ role: "user", content: "hi" }];

export const routes: readonly TortureRoute[] = [
  {
    name: "chat",
    path: "/v1/chat/completions",
    dialect: "openai",
    passes: true,
    good: { model: "m", messages: hi },
  },
  {
    name: "messages",
    path: "/v1/messages",
    dialect: "anthropic",
    passes: false,
    good: { model: "m", max_tokens: 10, messages: hi },
  },
  {
    name: "responses",
    path: "/v1/responses",
    dialect: "openai",
    passes: false,
    good: { model: "m", input: "hi" },
  },
  {
    name: "embeddings",
    path: "/v1/embeddings",
    dialect: "openai",
    passes: true,
    good: { model: "m", input: "hi" },
  },
  {
    name: "gemini",
    path: "/v1beta/models/m:generateContent",
    dialect: "gemini",
    passes: false,
    good: { contents: [{ role: "user", parts: [{ text: "hi" }] }] },
  },
  {
    name: "completions",
    path: "/v1/completions",
    dialect: "openai",
    passes: false, // carried over chat
    good: { model: "m", prompt: "hi" },
  },
  {
    name: "moderations",
    path: "/v1/moderations",
    dialect: "openai",
    passes: true,
    good: { model: "m", input: "hi" },
  },
  {
    name: "images",
    path: "/v1/images/generations",
    dialect: "openai",
    passes: true,
    good: { model: "m", prompt: "hi" },
  },
  {
    name: "rerank",
    path: "/v1/rerank",
    dialect: "openai",
    passes: false,
    good: { model: "ranker", query: "hi", documents: ["a", "b"] },
  },
];

/** Whether a body is an error of a dialect, with all its members. */
export function isErrorOf(dialect: TortureRoute["dialect"], body: unknown): boolean {
  if (!isObject(body) || !isObject(body["error"])) return false;
  const { error } = body;
  if (typeof error["message"] !== "string" || error["message"].length < 10) return false;
  if (dialect === "anthropic") return body["type"] === "error" && typeof error["type"] === "string";
  if (dialect === "gemini")
    return typeof error["code"] === "number" && typeof error["status"] === "string";
  return (
    typeof error["type"] === "string" && ["param", "code"].every((key) => Object.hasOwn(error, key))
  );
}
