/** OpenAI's chat completions, at every path that its and LiteLLM's clients use. */
import { events, inPath, json, type RouteGroup } from "../routes.ts";

const { pattern, templates } = inPath("/chat/completions");

export const chatRoutes: RouteGroup = {
  route: { operation: "chat", dialect: "openai-chat" },
  paths: ["/v1/chat/completions", "/chat/completions"],
  pattern,
  docs: {
    summary: "OpenAI's chat, JSON or SSE.",
    templates,
    body: "ChatRequest",
    replies: [json, events],
    source: "https://platform.openai.com/docs/api-reference/chat/create",
  },
};
