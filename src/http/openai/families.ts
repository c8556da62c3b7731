/** OpenAI's operations beside chat and embeddings, and rerank, at every path that clients use. */
import type { CallRoute } from "../exchange.ts";
import type { RouteGroup } from "../routes.ts";

export interface FamilyRoute extends RouteGroup {
  /** For docs/http.md. */
  readonly summary: string;
}

interface Family {
  readonly operation: CallRoute["operation"];
  readonly path: string;
  readonly summary: string;
  readonly dialect?: CallRoute["dialect"];
  readonly form?: NonNullable<CallRoute["form"]>;
  readonly more?: readonly string[];
}

const families: readonly Family[] = [
  {
    operation: "completion",
    path: "/completions",
    dialect: "openai-completions",
    summary:
      "OpenAI's text completions, JSON or SSE; carried over chat where the model only chats.",
  },
  { operation: "moderation", path: "/moderations", summary: "OpenAI's moderations." },
  {
    operation: "rerank",
    path: "/rerank",
    more: ["/v2/rerank"],
    summary: "Rerank in Cohere's form, whatever the provider.",
  },
  {
    operation: "image_generation",
    path: "/images/generations",
    summary: "OpenAI's images, JSON or SSE.",
  },
  {
    operation: "image_edit",
    path: "/images/edits",
    form: "sometimes", // newer clients send URLs, in JSON
    summary: "Edits, as a form or as JSON.",
  },
  {
    operation: "image_variation",
    path: "/images/variations",
    form: "always",
    summary: "Variations, as a form.",
  },
  { operation: "audio_speech", path: "/audio/speech", summary: "Speech, as bytes or SSE." },
  {
    operation: "audio_transcription",
    path: "/audio/transcriptions",
    form: "always",
    summary: "Transcripts: a form, sent on as it comes; JSON, text or SSE back.",
  },
  {
    operation: "audio_translation",
    path: "/audio/translations",
    form: "always",
    summary: "The same, into English.",
  },
];

/** With and without `/v1`, and Azure's form with the model in the path. */
export const familyRoutes: readonly FamilyRoute[] = families.map(
  ({ operation, path, summary, dialect = "openai-chat", form, more = [] }) => ({
    route: { operation, dialect, ...(form ? { form } : {}) },
    paths: [`/v1${path}`, path, ...more],
    pattern: new RegExp(`^(?:/v1)?/(?:engines|openai/deployments)/(.+)${path}$`),
    summary,
  }),
);
