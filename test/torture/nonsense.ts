/** Rich requests to damage, and requests that make no sense in one place. */
import type { JsonObject } from "../../src/domain/json.ts";
import type { TortureRoute } from "./routes.ts";

export interface RichRequest {
  readonly name: string;
  readonly path: string;
  readonly dialect: TortureRoute["dialect"];
  readonly body: JsonObject;
}

const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const pixel = "iVBORw0KGgo=";

const chat: JsonObject = {
  temperature: 0.5,
  top_p: 0.9,
  max_tokens: 10,
  stop: ["END"],
  user: "u",
  metadata: { run: "7" },
  reasoning_effort: "low",
  parallel_tool_calls: true,
  tool_choice: { type: "function", function: { name: "weather" } },
  tools: [
    { type: "function", function: { name: "weather", description: "d", parameters: schema } },
  ],
  response_format: { type: "json_schema", json_schema: { name: "x", schema, strict: true } },
  stream_options: { include_usage: true },
  messages: [
    { role: "system", content: "Be brief." },
    {
      role: "user",
      name: "ann",
      content: [
        { type: "text", text: "hi" },
        { type: "image_url", image_url: { url: `data:image/png;base64,${pixel}`, detail: "low" } },
        {
          type: "file",
          file: { filename: "a.pdf", file_data: `data:application/pdf;base64,aGk=` },
        },
      ],
    },
    {
      role: "assistant",
      content: null,
      tool_calls: [
        {
          id: "call_1",
          type: "function",
          function: { name: "weather", arguments: '{"city":"x"}' },
        },
      ],
    },
    { role: "tool", tool_call_id: "call_1", content: "rain" },
    { role: "user", content: "and?" },
  ],
};

const messages: JsonObject = {
  max_tokens: 2000,
  system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }],
  temperature: 1,
  stop_sequences: ["END"],
  metadata: { user_id: "u" },
  thinking: { type: "enabled", budget_tokens: 1024 },
  tool_choice: { type: "auto", disable_parallel_tool_use: true },
  tools: [{ name: "weather", description: "d", input_schema: schema }],
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "hi", cache_control: { type: "ephemeral" } },
        { type: "image", source: { type: "base64", media_type: "image/png", data: pixel } },
        {
          type: "document",
          source: { type: "base64", media_type: "application/pdf", data: "aGk=" },
          title: "t",
          citations: { enabled: true },
        },
      ],
    },
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "hm", signature: "c2ln" },
        { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "x" } },
      ],
    },
    {
      role: "user",
      content: [
        {
          type: "tool_result",
          tool_use_id: "toolu_1",
          is_error: false,
          content: [{ type: "text", text: "rain" }],
        },
      ],
    },
  ],
};

const responses: JsonObject = {
  instructions: "Be brief.",
  max_output_tokens: 50,
  temperature: 1,
  top_p: 1,
  store: false,
  metadata: { run: "7" },
  reasoning: { effort: "low", summary: "auto" },
  text: { format: { type: "json_schema", name: "x", schema, strict: true }, verbosity: "low" },
  tools: [
    { type: "function", name: "weather", description: "d", parameters: schema, strict: true },
  ],
  tool_choice: { type: "function", name: "weather" },
  parallel_tool_calls: true,
  include: ["reasoning.encrypted_content"],
  truncation: "disabled",
  input: [
    {
      role: "user",
      content: [
        { type: "input_text", text: "hi" },
        { type: "input_image", image_url: `data:image/png;base64,${pixel}`, detail: "low" },
        { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,aGk=" },
      ],
    },
    { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "hm" }] },
    { type: "function_call", call_id: "call_1", name: "weather", arguments: '{"city":"x"}' },
    { type: "function_call_output", call_id: "call_1", output: "rain" },
    {
      type: "message",
      id: "msg_1",
      status: "completed",
      role: "assistant",
      content: [{ type: "output_text", text: "rain", annotations: [], logprobs: [] }],
    },
    { role: "user", content: "and?" },
  ],
};

const gemini: JsonObject = {
  systemInstruction: { parts: [{ text: "Be brief." }] },
  generationConfig: {
    temperature: 0.5,
    topP: 0.9,
    topK: 5,
    maxOutputTokens: 50,
    candidateCount: 1,
    stopSequences: ["END"],
    responseMimeType: "application/json",
    responseSchema: { type: "OBJECT", properties: { city: { type: "STRING" } } },
    thinkingConfig: { thinkingBudget: 100, includeThoughts: true },
  },
  safetySettings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_NONE" }],
  toolConfig: { functionCallingConfig: { mode: "ANY", allowedFunctionNames: ["weather"] } },
  tools: [
    {
      functionDeclarations: [
        {
          name: "weather",
          description: "d",
          parameters: { type: "OBJECT", properties: { city: { type: "STRING" } } },
        },
      ],
    },
  ],
  contents: [
    {
      role: "user",
      parts: [{ text: "hi" }, { inlineData: { mimeType: "image/png", data: pixel } }],
    },
    {
      role: "model",
      parts: [{ functionCall: { name: "weather", args: { city: "x" } }, thoughtSignature: "c2ln" }],
    },
    {
      role: "user",
      parts: [{ functionResponse: { name: "weather", response: { result: "rain" } } }],
    },
  ],
};

/** To a provider of OpenAI's dialect and to one of Anthropic's; streamed to one of them, for time. */
const both = (
  name: string,
  path: string,
  dialect: TortureRoute["dialect"],
  body: JsonObject,
): RichRequest[] => [
  { name: `${name} to m`, path, dialect, body: { model: "m", ...body } },
  { name: `${name} to claude`, path, dialect, body: { model: "claude", ...body } },
  { name: `${name} to m, streamed`, path, dialect, body: { model: "m", ...body, stream: true } },
];

export const richRequests: readonly RichRequest[] = [
  ...both("chat", "/v1/chat/completions", "openai", chat),
  ...both("messages", "/v1/messages?beta=true", "anthropic", messages),
  ...both("responses", "/v1/responses", "openai", responses),
  ...["m", "claude"].flatMap((model) =>
    ["generateContent", "streamGenerateContent?alt=sse"].map((verb) => ({
      name: `gemini to ${model}, ${verb}`,
      path: `/v1beta/models/${model}:${verb}`,
      dialect: "gemini" as const,
      body: gemini,
    })),
  ),
  {
    name: "embeddings",
    path: "/v1/embeddings",
    dialect: "openai",
    body: {
      model: "m",
      input: ["a", [1, 2]],
      encoding_format: "float",
      dimensions: 2,
      user: "u",
      metadata: { run: "7" },
    },
  },
  {
    name: "completions",
    path: "/v1/completions",
    dialect: "openai",
    body: {
      model: "m",
      prompt: ["a"],
      max_tokens: 5,
      temperature: 1,
      n: 1,
      stop: "x",
      logit_bias: { "50256": -100 },
      stream: false,
    },
  },
  {
    name: "count of tokens, Anthropic's",
    path: "/v1/messages/count_tokens?beta=true",
    dialect: "anthropic",
    body: { model: "m", ...messages },
  },
  {
    name: "count of tokens, Gemini's",
    path: "/v1beta/models/m:countTokens",
    dialect: "gemini",
    body: gemini,
  },
  {
    name: "rerank",
    path: "/v1/rerank",
    dialect: "openai",
    body: {
      model: "ranker",
      query: "hi",
      documents: ["a", { text: "b" }],
      top_n: 1,
      return_documents: true,
      rank_fields: ["text"],
      max_chunks_per_doc: 2,
    },
  },
  {
    name: "images",
    path: "/v1/images/generations",
    dialect: "openai",
    body: {
      model: "m",
      prompt: "hi",
      n: 1,
      size: "256x256",
      quality: "low",
      stream: false,
      user: "u",
    },
  },
  {
    name: "speech",
    path: "/v1/audio/speech",
    dialect: "openai",
    body: { model: "m", input: "hi", voice: "alloy", response_format: "mp3", speed: 1 },
  },
  {
    name: "moderations",
    path: "/v1/moderations",
    dialect: "openai",
    body: { model: "m", input: ["hi", "ho"] },
  },
];

interface Nonsense {
  readonly path: string;
  readonly dialect: TortureRoute["dialect"];
  readonly body: JsonObject;
  /** Named in the error. */
  readonly param: string;
}

const hi = [{ role: "user", content: "hi" }];
const ofChat = (param: string, more: JsonObject): Nonsense => ({
  path: "/v1/chat/completions",
  dialect: "openai",
  body: { model: "m", messages: hi, ...more },
  param,
});
const ofMessages = (param: string, more: JsonObject): Nonsense => ({
  path: "/v1/messages",
  dialect: "anthropic",
  body: { model: "m", max_tokens: 10, messages: hi, ...more },
  param,
});
const ofResponses = (param: string, more: JsonObject): Nonsense => ({
  path: "/v1/responses",
  dialect: "openai",
  body: { model: "claude", input: "hi", ...more },
  param,
});
const ofGemini = (param: string, more: JsonObject): Nonsense => ({
  path: "/v1beta/models/m:generateContent",
  dialect: "gemini",
  body: { contents: [{ role: "user", parts: [{ text: "hi" }] }], ...more },
  param,
});
const ofEmbeddings = (param: string, more: JsonObject): Nonsense => ({
  path: "/v1/embeddings",
  dialect: "openai",
  body: { model: "m", input: "hi", ...more },
  param,
});

export const nonsenseCases: readonly (readonly [string, Nonsense])[] = [
  ["chat: max_tokens -1", ofChat("max_tokens", { max_tokens: -1 })],
  ["chat: max_tokens 1.5", ofChat("max_tokens", { max_tokens: 1.5 })],
  [
    "chat: max_completion_tokens -1",
    ofChat("max_completion_tokens", { max_completion_tokens: -1 }),
  ],
  ["chat: max_tokens in words", ofChat("max_tokens", { max_tokens: "ten" })],
  ["chat: null messages", ofChat("messages", { messages: null })],
  ["chat: no messages", ofChat("messages", { messages: [] })],
  ["chat: a null message", ofChat("messages[0]", { messages: [null] })],
  ["chat: messages as an object", ofChat("messages", { messages: { role: "user", content: "" } })],
  [
    "chat: an unknown role",
    ofChat("messages[0].role", { messages: [{ role: "wizard", content: "x" }] }),
  ],
  ["chat: no role", ofChat("messages[0].role", { messages: [{ content: "x" }] })],
  [
    "chat: content a number",
    ofChat("messages[0].content", { messages: [{ role: "user", content: 3 }] }),
  ],
  [
    "chat: a null part",
    ofChat("messages[0].content", { messages: [{ role: "user", content: [null] }] }),
  ],
  ["chat: stream in words", ofChat("stream", { stream: "yes" })],
  ["chat: n -1", ofChat("n", { n: -1 })],
  ["chat: temperature in words", ofChat("temperature", { temperature: "hot" })],
  ["chat: tools as an object", ofChat("tools", { tools: {} })],
  ["chat: response_format in words", ofChat("response_format", { response_format: "json" })],
  ["chat: no model", ofChat("model", { model: null })],
  ["chat: a model of another type", ofChat("model", { model: ["m"] })],
  ["messages: max_tokens -1", ofMessages("max_tokens", { max_tokens: -1 })],
  ["messages: no max_tokens", ofMessages("max_tokens", { max_tokens: null })],
  ["messages: null messages", ofMessages("messages", { messages: null })],
  [
    "messages: an unknown role",
    ofMessages("role", { messages: [{ role: "wizard", content: "x" }] }),
  ],
  ["messages: stream in words", ofMessages("stream", { stream: "yes" })],
  ["responses: null input", ofResponses("input", { input: null })],
  [
    "responses: an unknown role",
    ofResponses("role", { input: [{ role: "wizard", content: "x" }] }),
  ],
  ["responses: max_output_tokens -1", ofResponses("max_output_tokens", { max_output_tokens: -1 })],
  ["responses: an unknown item", ofResponses("input", { input: [{ type: "magic" }] })],
  ["gemini: null contents", ofGemini("contents", { contents: null })],
  [
    "gemini: an unknown role",
    ofGemini("role", { contents: [{ role: "wizard", parts: [{ text: "x" }] }] }),
  ],
  [
    "gemini: maxOutputTokens -1",
    ofGemini("maxOutputTokens", { generationConfig: { maxOutputTokens: -1 } }),
  ],
  ["embeddings: null input", ofEmbeddings("input", { input: null })],
  ["embeddings: no input", ofEmbeddings("input", { input: [] })],
  ["embeddings: input an object", ofEmbeddings("input", { input: { text: "x" } })],
  ["embeddings: an input that is null", ofEmbeddings("input", { input: [null] })],
  ["embeddings: dimensions -1", ofEmbeddings("dimensions", { dimensions: -1 })],
];
