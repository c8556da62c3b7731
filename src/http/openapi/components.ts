/** What the routes of the description share: ways in, the gateway's own headers, forms of errors. */
import type { Route, Who } from "../route.ts";

const header = (name: string, description: string) => ({
  type: "apiKey",
  in: "header",
  name,
  description,
});

const securitySchemes = {
  bearer: {
    type: "http",
    scheme: "bearer",
    description: "The gateway's key, as OpenAI's clients send one.",
  },
  xApiKey: header("x-api-key", "The same, as Anthropic's clients send it."),
  apiKey: header("api-key", "The same, as Azure's clients send it."),
  googleKey: header("x-goog-api-key", "The same, as Google's clients send it."),
  litellmKey: header("x-litellm-api-key", "The same, above all others."),
  adminKey: header("X-Admin-API-Key", "The master key, or one of ADMIN_API_KEYS."),
} as const;

const callerWays = ["bearer", "xApiKey", "apiKey", "googleKey", "litellmKey"] as const;

/** One of these must come; none where the route asks for none. */
export function securityOf(who: Who): readonly Readonly<Record<string, readonly string[]>>[] {
  if (who === "anyone") return [];
  const ways = who === "caller" ? callerWays : ([...callerWays, "adminKey"] as const);
  return ways.map((name) => ({ [name]: [] }));
}

const asked = (name: string, schema: object, description: string) => ({
  name,
  in: "header",
  description,
  schema,
});
const number = { type: "number", minimum: 0 };

const parameters = {
  RequestId: asked(
    "x-request-id",
    { type: "string", maxLength: 128, pattern: "^[\\x21-\\x7e]*$" },
    "Kept and given back; the gateway makes one where none comes.",
  ),
  Tradeoff: asked(
    "x-routeiq-tradeoff",
    { type: "number", minimum: 0, maximum: 1 },
    "Where the model is chosen here: 0 the cheapest that holds the floor, 1 the best.",
  ),
  Floor: asked(
    "x-routeiq-floor",
    { type: "string", examples: ["0.95@gpt-4o", "0.95@gpt-4o;violations=0.05"] },
    "In place of the trade-off: at least this share of that model's quality, on the mean; with `violations`, on all but this share of the queries.",
  ),
  LatencyWeight: asked(
    "x-routeiq-latency-weight",
    { type: "number", minimum: 0, maximum: 100 },
    "What quality the slowest model's mean latency is worth: 0.2 gives up 0.2 of quality for it.",
  ),
  Session: asked(
    "x-routeiq-session-id",
    { type: "string", maxLength: 256 },
    "The conversation: its turns stay with one model while that pays. Also x-litellm-session-id.",
  ),
  Deadline: asked(
    "x-routeiq-deadline-ms",
    { type: "number", exclusiveMinimum: 0 },
    "How long the caller waits, all attempts together.",
  ),
  Priority: asked(
    "x-routeiq-priority",
    { type: "integer" },
    "Where calls wait for their turn: lower is sooner. Also x-litellm-priority, and `priority` in the body.",
  ),
  IdempotencyKey: asked(
    "idempotency-key",
    { type: "string", minLength: 1, maxLength: 255 },
    "The same request sent again with it is answered by the run under way, or by the kept reply.",
  ),
  Timeout: asked("x-litellm-timeout", number, "Seconds that an attempt may take."),
  StreamTimeout: asked("x-litellm-stream-timeout", number, "Seconds between pieces of a stream."),
  Retries: asked("x-litellm-num-retries", number, "Attempts after the first."),
} as const;

export const parametersOfCall: readonly { readonly $ref: string }[] = Object.keys(parameters).map(
  (name) => ({ $ref: `#/components/parameters/${name}` }),
);

const text = { type: "string" };
const textOrNull = { type: ["string", "null"] };
const closed = (properties: Readonly<Record<string, object>>) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
});

/** The four forms of a failure: docs/errors.md lists their codes. */
const forms = {
  openai: closed({
    error: closed({ message: text, type: text, param: textOrNull, code: textOrNull }),
  }),
  anthropic: closed({ type: { const: "error" }, error: closed({ type: text, message: text }) }),
  gemini: closed({ error: closed({ code: { type: "integer" }, message: text, status: text }) }),
  detail: closed({ detail: closed({ error: text, message: text, request_id: text }) }),
} as const satisfies Record<Route["errors"], object>;

const responses = Object.fromEntries(
  Object.entries(forms).map(([name, schema]) => [
    `${name}Error`,
    {
      description: "What went wrong, in the caller's dialect. 429 and 503 carry Retry-After.",
      headers: { "retry-after": { schema: { type: "integer" } } },
      content: { "application/json": { schema } },
    },
  ]),
);

export function errorsOf(form: Route["errors"]): Readonly<Record<string, object>> {
  return { default: { $ref: `#/components/responses/${form}Error` } };
}

export const components = {
  securitySchemes,
  parameters,
  responses,
  headers: {
    CallId: {
      description: "Leads to the receipt: GET /v1/routing/decisions/{call_id}.",
      schema: text,
    },
    Model: { description: "The model that answered.", schema: text },
  },
} as const;
