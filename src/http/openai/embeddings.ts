/** OpenAI's embeddings. */
import { inPath, json, type RouteGroup } from "../routes.ts";

const { pattern, templates } = inPath("/embeddings");

export const embeddingRoutes: RouteGroup = {
  route: { operation: "embedding", dialect: "openai-chat" },
  paths: ["/v1/embeddings", "/embeddings"],
  pattern,
  docs: {
    summary: "OpenAI's embeddings.",
    templates,
    body: "EmbeddingRequest",
    replies: [json],
    source: "https://platform.openai.com/docs/api-reference/embeddings/create",
  },
};
