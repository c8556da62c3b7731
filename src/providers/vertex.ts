/**
 * Google's Vertex AI: Gemini in its own dialect, Claude in Anthropic's, the rest in OpenAI's.
 * Sources: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
 * https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai,
 * https://cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis
 */
import { fitToModel } from "../dialects/anthropic/fit.ts";
import { objectOr } from "../dialects/gemini/wire.ts";
import { dialects } from "../dialects/registry.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import type { TokenGrant } from "../domain/model.ts";
import { instanceHost } from "../security/ssrf.ts";
import { fitToGemini, saidByUrl } from "./gemini.ts";
import { contentEmbedding, predictedEmbedding } from "./google-embeddings.ts";
import {
  type Adaptation,
  type Auth,
  defineProvider,
  type Location,
  type Place,
  type Provider,
  type Unlocated,
} from "./provider.ts";

const auth = {
  kind: "token",
  env: ["VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS"],
} as const satisfies Auth;
const source = "https://cloud.google.com/vertex-ai/generative-ai/docs";

/** Anthropic's dialect on Vertex names its version in the body, and the model in the URL alone. */
const version = { anthropic_version: "vertex-2023-10-16" };
const withVersion: Adaptation = (body) =>
  body["anthropic_version"] === undefined ? { ...body, ...version } : body;

export const vertexAnthropic: Provider = defineProvider({
  name: "vertex_ai_anthropic",
  aliases: ["vertex_ai-anthropic_models"],
  dialect: dialects.anthropic,
  auth,
  locate: (place) => locate(place, "v1"),
  paths: { chat: "/publishers/anthropic/models/{model}:rawPredict" },
  streamPath: "/publishers/anthropic/models/{model}:streamRawPredict",
  countPath: "/publishers/anthropic/models/count-tokens:rawPredict",
  toCountBody: (body, model) => ({ ...body, ...version, model }),
  outsideBody: ["model"],
  adapt: [(body, { dropParams }) => fitToModel(body, dropParams), withVersion],
  source,
});

/** Models of other makers that Vertex serves itself, named `publisher/model`. */
export const vertexOpen: Provider = defineProvider({
  name: "vertex_ai_open",
  aliases: ["vertex_ai-llama_models", "vertex_ai-openai_models"],
  dialect: dialects["openai-chat"],
  auth,
  locate: (place) => locate(place, "v1"),
  paths: { chat: "/endpoints/openapi/chat/completions" },
  source,
});

/** A tuned Gemini, which is called by the number of its endpoint. */
export const vertexEndpoint: Provider = defineProvider({
  name: "vertex_ai_endpoint",
  dialect: dialects.gemini,
  auth,
  locate: (place) => locate(place, "v1beta1"),
  toModel: (model) => model.replace(/^gemini\//, ""),
  paths: { chat: "/endpoints/{model}:generateContent" },
  streamPath: "/endpoints/{model}:streamGenerateContent?alt=sse",
  countPath: "/endpoints/{model}:countTokens",
  toCountBody,
  outsideBody: saidByUrl,
  adapt: [fitToGemini],
  source,
});

/** Google's models that embed text by prediction, many texts a request. */
export const vertexEmbedding: Provider = defineProvider({
  name: "vertex_ai_embedding",
  aliases: ["vertex_ai-embedding-models"],
  dialect: dialects.gemini,
  auth,
  locate: (place) => locate(place, "v1"),
  paths: { embedding: "/publishers/google/models/{model}:predict" },
  fit: { embedding: predictedEmbedding },
  embeddingBatch: 250,
  source,
});

/** The first of Gemini's: by prediction too, one text a request. */
export const vertexGeminiEmbedding: Provider = defineProvider({
  ...vertexEmbedding,
  name: "vertex_ai_gemini_embedding",
  aliases: [],
  embeddingBatch: 1,
});

/** Those after it. */
export const vertexContentEmbedding: Provider = defineProvider({
  ...vertexGeminiEmbedding,
  name: "vertex_ai_content_embedding",
  locate: (place) => locate(place, "v1beta1"),
  paths: { embedding: "/publishers/google/models/{model}:embedContent" },
  fit: { embedding: contentEmbedding },
});

/** Which of Vertex AI's ways embeds, for the models that do. */
function embedderOf(model: string): Provider | undefined {
  if (/^gemini-embedding-001/.test(model)) return vertexGeminiEmbedding;
  if (/^gemini-embedding/.test(model)) return vertexContentEmbedding;
  return /^(text(-multilingual)?-embedding|textembedding-gecko)/.test(model)
    ? vertexEmbedding
    : undefined;
}

export const vertex: Provider = defineProvider({
  name: "vertex_ai",
  aliases: ["vertex_ai_beta", "vertex_ai-language-models"],
  dialect: dialects.gemini,
  auth,
  // The version that Google's own clients use; parametersJsonSchema and its like are new there first.
  locate: (place) => locate(place, "v1beta1"),
  toModel: (model) => model.replace(/^gemini\/|^google\//, ""),
  paths: { chat: "/publishers/google/models/{model}:generateContent" },
  streamPath: "/publishers/google/models/{model}:streamGenerateContent?alt=sse",
  countPath: "/publishers/google/models/{model}:countTokens",
  toCountBody,
  outsideBody: saidByUrl,
  adapt: [fitToGemini],
  variantOf: (model) => {
    if (/^(gemini\/)?\d+$/.test(model)) return vertexEndpoint;
    const embedder = embedderOf(model);
    if (embedder) return embedder;
    if (/^(gemini|google)\//.test(model)) return undefined;
    if (/claude/.test(model)) return vertexAnthropic;
    return model.includes("/") ? vertexOpen : undefined;
  },
  source,
});

/** Vertex counts the parts of a request as they are; AI Studio's callers wrap them. */
function toCountBody(body: JsonObject): JsonObject {
  const { model: _, ...whole } = objectOr(body["generateContentRequest"]);
  return Object.keys(whole).length > 0 ? whole : body;
}

function locate({ base, params, env }: Place, version: string): Location | Unlocated {
  const pick = (names: readonly string[], variables: readonly string[]) =>
    names.map((name) => textOf(params[name])).find((value) => value !== undefined) ??
    variables.map((name) => textOf(env[name])).find((value) => value !== undefined);
  const token = grantOf(params, env);
  const project =
    pick(["vertex_project", "vertex_ai_project"], ["VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT"]) ??
    projectIn(token.credentials);
  const location =
    pick(
      ["vertex_location", "vertex_ai_location"],
      ["VERTEXAI_LOCATION", "VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"],
    ) ?? "us-central1";
  if (project === undefined) {
    return {
      key: "vertex_project",
      message: "Vertex AI serves the models of a project, and none is named",
      remedy: "Set `vertex_project` (or VERTEXAI_PROJECT).",
    };
  }
  const invalid = [project, location].find((name) => !/^[\w.:-]{1,200}$/.test(name));
  if (invalid !== undefined) {
    return {
      key: invalid === project ? "vertex_project" : "vertex_location",
      message: `"${invalid.slice(0, 60)}" is no name of a project or location`,
      remedy: "Use the project's id, and a location such as us-central1 or global.",
    };
  }
  const root = base ?? hostOf(location);
  return {
    base: `${root}/${version}/projects/${project}/locations/${location}`,
    token,
  };
}

function hostOf(location: string): string {
  if (location === "global") return "https://aiplatform.googleapis.com";
  if (location === "us" || location === "eu") {
    return `https://aiplatform.${location}.rep.googleapis.com`;
  }
  return `https://${location}-aiplatform.googleapis.com`;
}

type GoogleGrant = TokenGrant & { readonly kind: "google" };

/**
 * JSON or a path, in LiteLLM's order; then, as Google's own tools look, the file where `gcloud`
 * leaves a login, and the account that the machine runs as: that alone where `metadata` is written.
 */
function grantOf(params: JsonObject, env: Place["env"]): GoogleGrant {
  const metadataHost = textOf(env["GCE_METADATA_HOST"]) ?? instanceHost;
  const told = params["vertex_credentials"] ?? params["vertex_ai_credentials"];
  if (isObject(told)) return { kind: "google", credentials: JSON.stringify(told) };
  if (told === "metadata") return { kind: "google", credentials: "", metadataHost };
  const named =
    textOf(told) ?? auth.env.map((name) => textOf(env[name])).find((value) => value !== undefined);
  if (named !== undefined) return { kind: "google", credentials: named };
  const home = textOf(env["CLOUDSDK_CONFIG"]) ?? `${env["HOME"] ?? ""}/.config/gcloud`;
  const credentials = `${home}/application_default_credentials.json`;
  return { kind: "google", credentials, metadataHost };
}

function projectIn(credentials: string): string | undefined {
  if (!credentials.trimStart().startsWith("{")) return undefined;
  try {
    const account: unknown = JSON.parse(credentials);
    if (!isObject(account)) return undefined;
    return textOf(account["project_id"]) ?? textOf(account["quota_project_id"]);
  } catch {
    return undefined; // said when the first call needs the token
  }
}

const textOf = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
