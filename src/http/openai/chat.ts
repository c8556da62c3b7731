/** OpenAI's chat completions, at every path that its and LiteLLM's clients use. */
import type { RouteGroup } from "../routes.ts";

export const chatRoutes: RouteGroup = {
  route: { operation: "chat", dialect: "openai-chat" },
  paths: ["/v1/chat/completions", "/chat/completions"],
  // Azure's clients put the model into the path; a name may hold slashes.
  pattern: /^(?:\/v1)?\/(?:engines|openai\/deployments)\/(.+)\/chat\/completions$/,
};
