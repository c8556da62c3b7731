/** OpenAI's operations beside chat and embeddings, and rerank, at every path that clients use. */
import type { CallRoute } from "../call-route.ts";
import { type CallDocs, events, inPath, json, type RouteGroup } from "../routes.ts";

interface Family extends Omit<CallDocs, "templates"> {
  readonly operation: CallRoute["operation"];
  readonly path: string;
  readonly dialect?: CallRoute["dialect"];
  readonly form?: NonNullable<CallRoute["form"]>;
  readonly more?: readonly string[];
}

const reference = "https://platform.openai.com/docs/api-reference";

const families: readonly Family[] = [
  {
    operation: "completion",
    path: "/completions",
    dialect: "openai-completions",
    summary:
      "OpenAI's text completions, JSON or SSE; carried over chat where the model only chats.",
    body: "CompletionRequest",
    replies: [json, events],
    source: `${reference}/completions/create`,
  },
  {
    operation: "moderation",
    path: "/moderations",
    summary: "OpenAI's moderations.",
    body: "ModerationRequest",
    replies: [json],
    source: `${reference}/moderations/create`,
  },
  {
    operation: "rerank",
    path: "/rerank",
    more: ["/v2/rerank"],
    summary: "Rerank in Cohere's form, whatever the provider.",
    body: "RerankRequest",
    replies: [json],
    source: "https://docs.cohere.com/reference/rerank",
  },
  {
    operation: "image_generation",
    path: "/images/generations",
    summary: "OpenAI's images, JSON or SSE.",
    body: "ImageRequest",
    replies: [json, events],
    source: `${reference}/images/create`,
  },
  {
    operation: "image_edit",
    path: "/images/edits",
    form: "sometimes", // newer clients send URLs, in JSON
    summary: "Edits, as a form or as JSON.",
    body: "ImageForm",
    replies: [json, events],
    source: `${reference}/images/createEdit`,
  },
  {
    operation: "image_variation",
    path: "/images/variations",
    form: "always",
    summary: "Variations, as a form.",
    body: "ImageForm",
    replies: [json],
    source: `${reference}/images/createVariation`,
  },
  {
    operation: "audio_speech",
    path: "/audio/speech",
    summary: "Speech, as bytes or SSE.",
    body: "SpeechRequest",
    replies: ["audio/mpeg", events],
    source: `${reference}/audio/createSpeech`,
  },
  {
    operation: "audio_transcription",
    path: "/audio/transcriptions",
    form: "always",
    summary: "Transcripts: a form, sent on as it comes; JSON, text or SSE back.",
    body: "TranscriptionForm",
    replies: [json, "text/plain", events],
    source: `${reference}/audio/createTranscription`,
  },
  {
    operation: "audio_translation",
    path: "/audio/translations",
    form: "always",
    summary: "The same, into English.",
    body: "TranscriptionForm",
    replies: [json, "text/plain"],
    source: `${reference}/audio/createTranslation`,
  },
];

/** With and without `/v1`, and Azure's form with the model in the path. */
export const familyRoutes: readonly RouteGroup[] = families.map(
  ({ operation, path, dialect = "openai-chat", form, more = [], ...docs }) => {
    const { pattern, templates } = inPath(path);
    return {
      route: { operation, dialect, ...(form ? { form } : {}) },
      paths: [`/v1${path}`, path, ...more],
      pattern,
      docs: { ...docs, templates },
    };
  },
);
