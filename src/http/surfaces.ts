/**
 * The surfaces of the gateway: which requests belong together, and what holds for them. The table is
 * docs/surfaces.md; test/surfaces.test.ts walks it against a running gateway, and fails where a
 * route belongs to no surface or a surface is not walked.
 */
export interface Surface {
  readonly name: string;
  /** Patterns of routes without `/v1`: exact, or all that begin so where they end with `*`. */
  readonly paths: readonly string[];
  readonly auth: string;
  readonly limits: string;
  /** What is found at `/v1/routing/decisions/{call_id}`. */
  readonly receipt: string;
  /**
   * The operation of a receipt that the route itself leaves for a request that changes something or
   * moves contents. Undefined: its work leaves receipts of its own, or there is nothing to tell.
   */
  readonly operation?: string;
  readonly telemetry: string;
  readonly money: string;
}

const key = "a caller's key";
const either = "a caller's key; admins see everybody's";
const call = {
  auth: key,
  limits: "body, time, attempts, concurrency, drain",
  receipt: "of the call, with its attempts",
  telemetry: "`gen_ai_*`, `gateway_*`, span, event",
  money: "by tokens or units, to the key",
} as const;
const kept = {
  auth: either,
  telemetry: "`routeiq_http_requests_total`, `routeiq_tool_*`, event",
} as const;
const none = "nothing is asked of a provider";

/** The first that matches is a route's. */
export const surfaces: readonly Surface[] = [
  { name: "chat", paths: ["/chat/completions"], ...call },
  { name: "completions", paths: ["/completions"], ...call },
  { name: "embeddings", paths: ["/embeddings"], ...call },
  {
    name: "responses",
    paths: ["/responses", "/responses/*", "/openai/v1/responses", "/openai/v1/responses/*"],
    ...call,
    auth: `${key}; kept responses: ${either}`,
    receipt: "of the call; reading a kept response leaves none",
  },
  { name: "messages", paths: ["/messages", "/messages/*"], ...call },
  {
    name: "gemini",
    paths: ["/v1beta/models/{model}:*", "/v1beta1/*", "/models/*:countTokens", "/v1beta/models/*"],
    ...call,
    auth: `${key}, also as x-goog-api-key or ?key=`,
  },
  { name: "images", paths: ["/images/*"], ...call },
  { name: "audio", paths: ["/audio/*"], ...call },
  { name: "moderations", paths: ["/moderations"], ...call },
  { name: "rerank", paths: ["/rerank"], ...call },
  {
    name: "realtime",
    paths: ["/realtime", "/realtime/*", "/openai/realtime", "/openai/v1/realtime*"],
    ...call,
    limits: "length of a session, silence, message size, drain",
    receipt: "of the session, and of each answer in it",
  },
  {
    name: "pass-through",
    paths: ["/{provider}/*", "{pass_through_endpoints}"],
    ...call,
    auth: `${key}; none where the operator says \`auth: false\``,
    money: "by what the reply says was used, or cost_per_request",
  },
  {
    name: "files",
    paths: ["/files", "/files/*"],
    ...kept,
    limits: "file size, bytes and files per caller, drain",
    receipt: "`file`: uploads, downloads, deletions",
    operation: "file",
    money: none,
  },
  {
    name: "uploads",
    paths: ["/uploads", "/uploads/*"],
    ...kept,
    limits: "64 MiB per part, parts, size of the file, open uploads, an hour, drain",
    receipt: "`upload`: each request",
    operation: "upload",
    money: none,
  },
  {
    name: "fine-tuning",
    paths: ["/fine_tuning/*"],
    ...kept,
    limits: "body, 60 s per answer, drain",
    receipt: "`fine_tuning`: begin and changes, and a job's end",
    operation: "fine_tuning",
    money: "trained tokens, to the key, once a job has ended",
  },
  {
    name: "batches",
    paths: ["/batches", "/batches/*"],
    ...kept,
    limits: "requests per batch, batches at once, yields to live calls, drain",
    receipt: "`batch`: begin and cancel; each line as a call",
    operation: "batch",
    money: "each line as a call",
  },
  {
    name: "assistants and threads",
    paths: ["/assistants", "/assistants/*", "/threads", "/threads/*"],
    ...kept,
    limits: "body, rounds of a run, drain",
    receipt: "`assistant`: changes; each model call of a run as a call",
    operation: "assistant",
    money: "each model call of a run as a call",
  },
  {
    name: "vector search",
    paths: ["/vector_stores/:store/search"],
    ...kept,
    limits: "body, queries, results, 60 s, drain",
    receipt: "`vector_search`; the query's embedding by a model as a call",
    operation: "vector_search",
    money: "the query's embedding as a call",
  },
  {
    name: "vector stores",
    paths: ["/vector_stores", "/vector_stores/*"],
    ...kept,
    limits: "body, files per request, passages per file, drain",
    receipt: "`vector_store`: changes; passages' embedding by a model as calls",
    operation: "vector_store",
    money: "passages' embedding as calls",
  },
  {
    name: "MCP servers",
    paths: [
      "/mcp/server",
      "/mcp/server/*",
      "/mcp/make_public",
      "/mcp/pins/*",
      "/llmrouter/mcp/servers*",
    ],
    ...kept,
    auth: "admin to change",
    limits: "500 servers, address rule",
    receipt: "`mcp_registry`: changes",
    operation: "mcp_registry",
    money: none,
  },
  {
    name: "MCP",
    paths: ["/mcp", "/mcp/*", "/llmrouter/mcp/*"],
    ...kept,
    auth: `${key}, or none where \`mcp.allow_anonymous\` says so`,
    limits: "sessions, message and result size, time per tool, allow-lists",
    receipt: "`mcp_tool` per tool call",
    money: "a tool's price (`mcp_info.mcp_server_cost_info`), to the key",
  },
  {
    name: "A2A agents",
    paths: ["/a2a/agents", "/a2a/agents/*", "/agents", "/agents/*"],
    ...kept,
    auth: "admin to change",
    limits: "1,000 agents, address rule",
    receipt: "`a2a_registry`: changes",
    operation: "a2a_registry",
    money: none,
  },
  {
    name: "A2A cards",
    paths: ["/.well-known/agent*", "/.well-known/a2a-keys.json", "/a2a/:agent/.well-known/*"],
    auth: "none: public documents",
    limits: "–",
    receipt: "none",
    telemetry: "`routeiq_http_requests_total`",
    money: none,
  },
  {
    name: "A2A",
    paths: ["/a2a", "/a2a/*"],
    ...kept,
    limits: "tasks per minute and at once, time per message, body, drain",
    receipt:
      "`a2a_message` per message to an agent elsewhere; a published model's answer as a call",
    money: "a published model's answer as a call",
  },
  {
    name: "skill runs",
    paths: ["/skills/:skill/run"],
    ...kept,
    limits: "time, memory, output, runs at once",
    receipt: "`skill_run`",
    money: none,
  },
  {
    name: "skills",
    paths: ["/skills", "/skills/*"],
    ...kept,
    limits: "size and number of files, drain",
    receipt: "`skill`: changes",
    operation: "skill",
    money: none,
  },
  {
    name: "public skills and MCP servers",
    paths: ["/.well-known/skills/*", "/public/mcp_hub"],
    auth: "none: public documents",
    limits: "–",
    receipt: "none",
    telemetry: "`routeiq_http_requests_total`",
    money: none,
  },
  {
    name: "receipts and feedback",
    paths: ["/routing/decisions/*", "/feedback"],
    ...kept,
    limits: "body",
    receipt: "they are the receipts, and what is added to them",
    money: none,
  },
  {
    name: "models",
    paths: [
      "/models",
      "/models/*",
      "/model/info",
      "/v2/model/info",
      "/model_group/info",
      "/v1beta/models",
    ],
    ...kept,
    auth: "a caller's key",
    limits: "–",
    receipt: "none",
    money: none,
  },
  {
    name: "administration",
    paths: [
      "/admin/*",
      "/config/*",
      "/llmrouter/reload",
      "/router/info",
      "/health",
      "/health/backlog",
      "/health/history",
      "/health/latest",
      "/health/services",
      "/health/test_connection",
    ],
    ...kept,
    auth: "admin",
    limits: "body of 64 KiB",
    receipt: "none; the log tells",
    money: none,
  },
  {
    name: "probes and documents",
    paths: [
      "/",
      "/ui",
      "/ui/",
      "/docs",
      "/openapi.json",
      "/ping",
      "/metrics",
      "/_health/*",
      "/health/*",
      "/.well-known/oauth-*",
    ],
    auth: "none; `/metrics`: admin, where other machines reach the port",
    limits: "–",
    receipt: "none",
    telemetry: "`routeiq_http_requests_total`",
    money: none,
  },
];

/** @param path a route's pattern, with or without `/v1` */
export function findSurface(path: string): Surface | undefined {
  const bare = path.startsWith("/v1/") ? path.slice(3).replace(/^\/llmrouter\/mcp/, "/mcp") : path;
  const matches = (pattern: string) =>
    pattern.endsWith("*") ? bare.startsWith(pattern.slice(0, -1)) : bare === pattern;
  return surfaces.find(({ paths }) => paths.some(matches));
}
