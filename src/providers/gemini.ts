/** Google AI Studio, in Gemini's own dialect. Source: https://ai.google.dev/api */
import { signsCalls } from "../dialects/gemini/models.ts";
import { fitSignatures } from "../dialects/gemini/signatures.ts";
import { dialects } from "../dialects/registry.ts";
import { isObject } from "../domain/json.ts";
import { studioEmbedding } from "./google-embeddings.ts";
import { type Adaptation, defineProvider } from "./provider.ts";

/** A conversation that another model began, or whose client lost what Gemini signed. */
export const fitToGemini: Adaptation = (body) => fitSignatures(body, signsCalls);

/** What Gemini's URL says of a call. */
export const saidByUrl: readonly string[] = ["model", "stream"];

export const gemini = defineProvider({
  name: "gemini",
  dialect: dialects.gemini,
  baseUrl: "https://generativelanguage.googleapis.com/v1beta",
  baseUrlEnv: ["GEMINI_API_BASE"],
  toBase,
  auth: { kind: "header", header: "x-goog-api-key", env: ["GEMINI_API_KEY", "GOOGLE_API_KEY"] },
  paths: {
    chat: "/models/{model}:generateContent",
    embedding: "/models/{model}:batchEmbedContents",
    // In OpenAI's form, as our callers send them.
    image_generation: "/openai/images/generations",
  },
  fit: { embedding: studioEmbedding },
  embeddingBatch: 100,
  streamPath: "/models/{model}:streamGenerateContent?alt=sse",
  countPath: "/models/{model}:countTokens",
  toCountBody: (body, model) => {
    const whole = body["generateContentRequest"];
    if (!isObject(whole)) return body;
    return { generateContentRequest: { ...whole, model: `models/${model}` } };
  },
  outsideBody: saidByUrl,
  adapt: [fitToGemini],
  source: "https://ai.google.dev/api",
});

/** Bases are written with the version or without, and for the compatible endpoint. */
function toBase(base: string): string {
  const bare = base.replace(/\/(openai|models)$/, "");
  return /^https:\/\/generativelanguage\.googleapis\.com$/.test(bare) ? `${bare}/v1beta` : bare;
}
