/**
 * Bodies of requests as far as the gateway itself reads them. A provider's own reference says the
 * rest, and every other field travels on: so all of them are open.
 */
import { type TProperties, type TSchema, Type } from "@sinclair/typebox";
import { gatewayFields } from "../../providers/encode.ts";

const open = { additionalProperties: true } as const;
const model = Type.String({
  minLength: 1,
  maxLength: 512,
  description: "A name of GET /v1/models: a group, an alias, `auto`, or what a wildcard row takes.",
});
const optionalModel = Type.Optional(model);
const stream = Type.Optional(Type.Boolean({ description: "Answer as server-sent events." }));
const text = (description: string) => Type.String({ description });
const listOrText = (description: string) =>
  Type.Union([Type.String(), Type.Array(Type.Unknown(), { minItems: 1 })], { description });
const file = (description: string) =>
  Type.String({ description, contentMediaType: "application/octet-stream" });

function request(description: string, properties: TProperties): TSchema {
  return Type.Object(properties, { ...open, description });
}

const sampling = {
  stream,
  stream_options: Type.Optional(Type.Object({}, open)),
  temperature: Type.Optional(Type.Number()),
  top_p: Type.Optional(Type.Number()),
  max_tokens: Type.Optional(Type.Integer({ minimum: 0 })),
  max_completion_tokens: Type.Optional(Type.Integer({ minimum: 0 })),
  n: Type.Optional(Type.Integer({ minimum: 0 })),
} as const;

const message = Type.Object(
  { role: Type.String(), content: Type.Optional(listOrText("Text, or a list of parts.")) },
  open,
);

export const bodies = {
  ChatRequest: request("OpenAI's chat completion.", {
    model,
    messages: Type.Array(message, { minItems: 1 }),
    ...sampling,
    tools: Type.Optional(Type.Array(Type.Unknown())),
    response_format: Type.Optional(Type.Object({}, open)),
  }),
  CompletionRequest: request("OpenAI's text completion.", {
    model,
    prompt: listOrText("One prompt, or a list of them."),
    ...sampling,
  }),
  MessageRequest: request("Anthropic's message.", {
    model,
    messages: Type.Array(message, { minItems: 1 }),
    max_tokens: Type.Integer({ minimum: 0 }),
    system: Type.Optional(listOrText("Text, or a list of text blocks.")),
    stream,
    tools: Type.Optional(Type.Array(Type.Unknown())),
    thinking: Type.Optional(Type.Object({}, open)),
  }),
  MessageCountRequest: request("Anthropic's message, to be counted.", {
    model,
    messages: Type.Array(message, { minItems: 1 }),
    system: Type.Optional(listOrText("Text, or a list of text blocks.")),
    tools: Type.Optional(Type.Array(Type.Unknown())),
  }),
  GenerateRequest: request("Gemini's contents; the model stands in the path.", {
    contents: Type.Array(Type.Object({}, open), { minItems: 1 }),
    systemInstruction: Type.Optional(Type.Object({}, open)),
    generationConfig: Type.Optional(Type.Object({}, open)),
    tools: Type.Optional(Type.Array(Type.Unknown())),
  }),
  EmbedContentRequest: request("One text to embed.", {
    content: Type.Object({ parts: Type.Array(Type.Object({ text: Type.String() }, open)) }, open),
    taskType: Type.Optional(text("What for; models that are not Google's do not know it.")),
    title: Type.Optional(Type.String()),
    outputDimensionality: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
  BatchEmbedRequest: request("Texts to embed, each as one for `embedContent`.", {
    requests: Type.Array(Type.Object({}, open), { minItems: 1 }),
  }),
  PredictRequest: request("Texts to embed, in Vertex AI's form.", {
    instances: Type.Array(Type.Object({ content: Type.String() }, open), { minItems: 1 }),
    parameters: Type.Optional(Type.Object({}, open)),
  }),
  TokenCountRequest: request("Gemini's contents, or a whole request, to be counted.", {
    contents: Type.Optional(Type.Array(Type.Object({}, open))),
    generateContentRequest: Type.Optional(Type.Object({}, open)),
  }),
  ResponseRequest: request("OpenAI's response.", {
    model,
    input: Type.Optional(listOrText("Text, or a list of items.")),
    instructions: Type.Optional(Type.String()),
    previous_response_id: Type.Optional(Type.String()),
    background: Type.Optional(Type.Boolean()),
    store: Type.Optional(Type.Boolean()),
    stream,
    truncation: Type.Optional(Type.String({ description: "`auto` or `disabled`." })),
    tools: Type.Optional(Type.Array(Type.Unknown())),
  }),
  EmbeddingRequest: request("OpenAI's embeddings.", {
    model,
    input: listOrText("Text, a list of texts, tokens, or a list of those."),
    encoding_format: Type.Optional(Type.String({ description: "`float` or `base64`." })),
    dimensions: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
  ModerationRequest: request("OpenAI's moderation.", {
    model: optionalModel,
    input: listOrText("Text, a list of texts, or a list of parts."),
  }),
  RerankRequest: request("Cohere's rerank.", {
    model,
    query: text("What the documents are ranked by."),
    documents: Type.Array(Type.Unknown(), { minItems: 1 }),
    top_n: Type.Optional(Type.Integer({ minimum: 1 })),
    return_documents: Type.Optional(Type.Boolean()),
  }),
  ImageRequest: request("OpenAI's image generation.", {
    model: optionalModel,
    prompt: text("What to draw."),
    n: Type.Optional(Type.Integer({ minimum: 0 })),
    size: Type.Optional(Type.String()),
    stream,
  }),
  ImageForm: request("OpenAI's image edit or variation.", {
    model: optionalModel,
    image: file("The image; `image[]` for several."),
    prompt: Type.Optional(text("What to change.")),
    mask: Type.Optional(file("Where to change it.")),
    n: Type.Optional(Type.Integer({ minimum: 0 })),
    size: Type.Optional(Type.String()),
  }),
  SpeechRequest: request("OpenAI's speech.", {
    model,
    input: text("What to say."),
    stream_format: Type.Optional(Type.String({ description: "`sse` for events, else bytes." })),
  }),
  AgentRequest: request("An A2A agent: one elsewhere by `url`, or a model published by `model`.", {
    agent_name: text("Its name in paths."),
    description: Type.Optional(text("What it is good for.")),
    url: Type.Optional(text("Its endpoint, or the address of its card.")),
    model: Type.Optional(text("A model group to publish.")),
    instructions: Type.Optional(text("With `model`: its system message.")),
    agent_card_params: Type.Optional(Type.Object({}, open)),
    litellm_params: Type.Optional(Type.Object({}, open)),
  }),
  A2aRequest: request("A JSON-RPC request of A2A.", {
    jsonrpc: Type.Literal("2.0"),
    id: Type.Optional(Type.Union([Type.String(), Type.Integer(), Type.Null()])),
    method: text("SendMessage, GetTask; in 0.3 message/send, tasks/get."),
    params: Type.Optional(Type.Object({}, open)),
  }),
  SkillUpload: request("A skill's files, its SKILL.md among them.", {
    "files[]": file("A file; its name is its path."),
    display_name: Type.Optional(text("What people see.")),
  }),
  SkillRunRequest: request("What a skill is run with.", {
    input: Type.Optional(Type.Unknown({ description: "Fits the skill's input_schema." })),
    version: Type.Optional(text("A version's id. Default: latest.")),
  }),
  BatchRequest: request("OpenAI's batch.", {
    input_file_id: text("A file of purpose `batch`: JSON Lines of custom_id, method, url, body."),
    endpoint: text(
      "/v1/chat/completions, /v1/responses, /v1/embeddings, /v1/completions or /v1/moderations.",
    ),
    completion_window: Type.Optional(text("Like 24h; at most 7d.")),
    metadata: Type.Optional(Type.Object({}, open)),
  }),
  UploadPart: request("A part of OpenAI's upload.", {
    data: Type.String({ description: "The part's bytes, as a file of the form." }),
  }),
  FileUpload: request("OpenAI's upload of a file.", {
    purpose: text("assistants, batch, fine-tune, vision, user_data or evals."),
    file: file("The file."),
    "expires_after[anchor]": Type.Optional(Type.Literal("created_at")),
    "expires_after[seconds]": Type.Optional(Type.Integer({ minimum: 3600, maximum: 2592000 })),
  }),
  TranscriptionForm: request("OpenAI's transcription or translation.", {
    model,
    file: file("The sound. Put `model` before it: then it is sent on while it still comes."),
    stream,
    response_format: Type.Optional(Type.String()),
    language: Type.Optional(Type.String()),
  }),
  RealtimeSecretRequest: request("OpenAI's; the model stands in `session`, or at the top.", {
    session: Type.Optional(Type.Object({ model: optionalModel }, open)),
    model: optionalModel,
    expires_after: Type.Optional(Type.Object({}, open)),
  }),
  McpServerRequest: request("An MCP server, with the keys of `mcp_servers`, or a tool's call.", {
    server_name: Type.Optional(Type.String()),
    url: Type.Optional(Type.String()),
    transport: Type.Optional(Type.String()),
    tool_name: Type.Optional(Type.String()),
    arguments: Type.Optional(Type.Object({}, open)),
    server: Type.Optional(Type.String()),
    tool: Type.Optional(Type.String()),
  }),
  McpMessage: request("A JSON-RPC 2.0 message of the Model Context Protocol.", {
    jsonrpc: Type.Literal("2.0"),
    id: Type.Optional(Type.Union([Type.String(), Type.Integer()])),
    method: Type.Optional(Type.String()),
    params: Type.Optional(Type.Object({}, open)),
  }),
  FeedbackRequest: Type.Object(
    {
      call_id: Type.String({
        minLength: 1,
        maxLength: 128,
        description: "`x-routeiq-call-id` of the answer.",
      }),
      score: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
      thumbs: Type.Optional(
        Type.Union([Type.Literal("up"), Type.Literal("down")], {
          description: "In place of `score`: one of the two must be given.",
        }),
      ),
      source: Type.Optional(
        Type.String({
          default: "user",
          pattern: "^[\\w.:@/-]{1,64}$",
          description:
            "Who says so. What begins with `judge`, `implicit` or `shadow` is the operator's alone.",
        }),
      ),
      comment: Type.Optional(Type.String({ maxLength: 4_000 })),
    },
    { ...open, description: "What an answer was worth." },
  ),
  ConfigReloadRequest: Type.Object(
    {},
    { ...open, description: "Nothing in it is needed; it may be left out." },
  ),
  ConnectionTestRequest: Type.Object(
    {
      litellm_params: Type.Object(
        { model: Type.String({ description: "`provider/model`, or a configured row's name." }) },
        { ...open, description: "As in model_list, without references." },
      ),
      mode: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      model_info: Type.Optional(
        Type.Object({ id: Type.Optional(Type.String({ description: "A configured row." })) }, open),
      ),
    },
    { ...open, description: "A row to try." },
  ),
  EmptyRequest: Type.Object(
    {},
    { ...open, description: "Nothing in it is needed; it may be left out." },
  ),
  StageRequest: Type.Object(
    {
      again: Type.Optional(
        Type.Boolean({ description: "Also a release that was taken back here before." }),
      ),
    },
    { ...open, description: "May be left out." },
  ),
  CanaryRequest: Type.Object(
    {
      share: Type.Optional(
        Type.Number({
          exclusiveMinimum: 0,
          maximum: 1,
          description: "Of users, conversations or calls. Left out: as configured, else 0.05.",
        }),
      ),
    },
    { ...open, description: "May be left out." },
  ),
  VariantRequest: Type.Object(
    { variant: Type.String({ description: "Its name." }) },
    { ...open, description: "A variant of the experiment." },
  ),
  RollbackRequest: Type.Object(
    { reason: Type.Optional(Type.String({ maxLength: 500, description: "For the audit log." })) },
    { ...open, description: "May be left out." },
  ),
  RouterReloadRequest: Type.Object(
    {
      strategy: Type.Optional(
        Type.Union([Type.String(), Type.Null()], {
          description: "Must be the one in force, where it is given.",
        }),
      ),
    },
    { ...open, description: "May be left out." },
  ),
} as const satisfies Record<string, TSchema>;

export type BodyName = keyof typeof bodies;

/** What a body of a model's call may say to the gateway itself; none of it goes upstream. */
export const gatewayBody: TSchema = Type.Object(
  Object.fromEntries([...gatewayFields].sort().map((name) => [name, Type.Optional(Type.Any())])),
  {
    ...open,
    description:
      "LiteLLM's words to the gateway itself: read or ignored here, and never sent to a provider.",
  },
);
