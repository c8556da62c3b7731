/** Every route that carries a call to a model, in the order in which their patterns are tried. */
import type { Responses } from "../resources/responses/responses.ts";
import { messageRoutes } from "./anthropic/messages.ts";
import { generateRoutes } from "./gemini/generate.ts";
import { chatRoutes } from "./openai/chat.ts";
import { embeddingRoutes } from "./openai/embeddings.ts";
import { familyRoutes } from "./openai/families.ts";
import { compactRoutes, responseRoutes } from "./openai/responses.ts";
import type { RouteGroup } from "./routes.ts";

export function callRoutes(responses: Responses): readonly RouteGroup[] {
  return [
    chatRoutes,
    messageRoutes,
    embeddingRoutes,
    ...generateRoutes,
    responseRoutes(responses),
    compactRoutes(responses),
    ...familyRoutes,
  ];
}
