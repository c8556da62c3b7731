/** Gemini's generateContent, at the paths of AI Studio's clients, of Vertex AI's and of LiteLLM's. */
import type { RouteGroup } from "../routes.ts";

// A name may hold slashes: `gemini/gemini-2.5-flash`.
const models =
  "^(?:/v1(?:alpha|beta1?)?)?(?:/projects/[^/]+/locations/[^/]+)?(?:/publishers/[^/]+)?/models/(.+)";

export const generateRoutes: readonly RouteGroup[] = [
  {
    route: { operation: "chat", dialect: "gemini", stream: false },
    paths: [],
    pattern: new RegExp(`${models}:generateContent$`),
  },
  {
    route: { operation: "chat", dialect: "gemini", stream: true },
    paths: [],
    pattern: new RegExp(`${models}:streamGenerateContent$`),
  },
];
