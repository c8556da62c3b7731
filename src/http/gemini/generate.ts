/** Gemini's generateContent and embeddings, at the paths of AI Studio's clients, of Vertex AI's and of LiteLLM's. */
import { events, json, type RouteGroup } from "../routes.ts";
import { embedIn } from "./embed.ts";

// A name may hold slashes: `gemini/gemini-2.5-flash`.
const models =
  "^(?:/v1(?:alpha|beta1?)?)?(?:/projects/[^/]+/locations/[^/]+)?(?:/publishers/[^/]+)?/models/(.+)";

const source = "https://ai.google.dev/api/generate-content";
const templatesOf = (method: string) =>
  ["/v1beta", "/v1", "/v1alpha", ""].map((version) => `${version}/models/{model}:${method}`);
const vertexOf = (method: string) =>
  `/v1beta1/projects/{project}/locations/{location}/publishers/google/models/{model}:${method}`;

const embeddingBodies = {
  embedContent: "EmbedContentRequest",
  batchEmbedContents: "BatchEmbedRequest",
  predict: "PredictRequest",
} as const;

export const generateRoutes: readonly RouteGroup[] = [
  {
    route: { operation: "chat", dialect: "gemini", stream: false },
    paths: [],
    pattern: new RegExp(`${models}:generateContent$`),
    docs: {
      summary: "Gemini's. The key by `x-goog-api-key` or `?key=`.",
      templates: [...templatesOf("generateContent"), vertexOf("generateContent")],
      body: "GenerateRequest",
      replies: [json],
      source,
    },
  },
  {
    route: { operation: "chat", dialect: "gemini", stream: true },
    paths: [],
    pattern: new RegExp(`${models}:streamGenerateContent$`),
    docs: {
      summary: "The same as a stream: SSE with `alt=sse`, else one JSON array that grows.",
      templates: [...templatesOf("streamGenerateContent"), vertexOf("streamGenerateContent")],
      body: "GenerateRequest",
      replies: [events, json],
      source,
    },
  },
  ...(["embedContent", "batchEmbedContents", "predict"] as const).map(
    (method): RouteGroup => ({
      route: { operation: "embedding", dialect: "gemini", stream: false, handle: embedIn(method) },
      paths: [],
      pattern: new RegExp(`${models}:${method}$`),
      docs: {
        summary: "Google's embeddings, by whatever model.",
        templates: method === "predict" ? [vertexOf(method)] : templatesOf(method),
        body: embeddingBodies[method],
        replies: [json],
        source: "https://ai.google.dev/api/embeddings",
      },
    }),
  ),
];
