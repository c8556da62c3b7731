/** Anthropic's Messages API. */
import { events, json, type RouteGroup } from "../routes.ts";

export const messageRoutes: RouteGroup = {
  route: { operation: "chat", dialect: "anthropic" },
  paths: ["/v1/messages"],
  docs: {
    summary: "Anthropic's messages, JSON or SSE.",
    body: "MessageRequest",
    replies: [json, events],
    source: "https://platform.claude.com/docs/en/api/messages",
  },
};
