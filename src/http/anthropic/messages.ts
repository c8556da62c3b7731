/** Anthropic's Messages API. */
import type { RouteGroup } from "../routes.ts";

export const messageRoutes: RouteGroup = {
  route: { operation: "chat", dialect: "anthropic" },
  paths: ["/v1/messages"],
};
