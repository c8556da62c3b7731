/** OpenAI's operations beside chat and embeddings, and rerank, at every path that clients use. */
import type { CallRoute } from "../exchange.ts";
import type { RouteGroup } from "../routes.ts";

/** With and without `/v1`, and Azure's form with the model in the path. */
function group(operation: CallRoute["operation"], path: string, ...more: string[]): RouteGroup {
  return {
    route: {
      operation,
      dialect: operation === "completion" ? "openai-completions" : "openai-chat",
    },
    paths: [path, `/v1${path}`, ...more],
    pattern: new RegExp(`^(?:/v1)?/(?:engines|openai/deployments)/(.+)${path}$`),
  };
}

function form(
  operation: CallRoute["operation"],
  path: string,
  how: NonNullable<CallRoute["form"]> = "always",
): RouteGroup {
  const { route, ...rest } = group(operation, path);
  return { route: { ...route, form: how }, ...rest };
}

export const familyRoutes: readonly RouteGroup[] = [
  group("completion", "/completions"),
  group("moderation", "/moderations"),
  group("rerank", "/rerank", "/v2/rerank"),
  group("image_generation", "/images/generations"),
  form("image_edit", "/images/edits", "sometimes"), // newer clients send URLs, in JSON
  form("image_variation", "/images/variations"),
  group("audio_speech", "/audio/speech"),
  form("audio_transcription", "/audio/transcriptions"),
  form("audio_translation", "/audio/translations"),
];
