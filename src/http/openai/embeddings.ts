/** OpenAI's embeddings. */
import type { RouteGroup } from "../routes.ts";

export const embeddingRoutes: RouteGroup = {
  route: { operation: "embedding", dialect: "openai-chat" },
  paths: ["/v1/embeddings", "/embeddings"],
  pattern: /^(?:\/v1)?\/(?:engines|openai\/deployments)\/(.+)\/embeddings$/,
};
