/** Anthropic's own API. Source: https://platform.claude.com/docs/en/api/overview */
import { fitToModel } from "../dialects/anthropic/fit.ts";
import { dialects } from "../dialects/registry.ts";
import { defineProvider } from "./provider.ts";

export const anthropic = defineProvider({
  name: "anthropic",
  aliases: ["anthropic_text"],
  dialect: dialects.anthropic,
  baseUrl: "https://api.anthropic.com",
  baseUrlEnv: ["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
  // LiteLLM appends /v1/messages, so bases are written with none, some or all of it.
  toBase: (base) => base.replace(/(\/v1)?(\/messages)?$/, ""),
  auth: { kind: "header", header: "x-api-key", env: ["ANTHROPIC_API_KEY"] },
  paths: { chat: "/v1/messages" },
  countPath: "/v1/messages/count_tokens",
  adapt: [(body, { dropParams }) => fitToModel(body, dropParams)],
  headers: { "anthropic-version": "2023-06-01" },
  source: "https://platform.claude.com/docs/en/api/overview",
});
