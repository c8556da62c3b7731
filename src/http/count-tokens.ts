/** Counting tokens before a call: Anthropic's and Gemini's routes. An estimate is marked as one. */
import { dialects } from "../dialects/registry.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import { countTokens, type TokenCount } from "../pipeline/count-tokens.ts";
import type { Services } from "../pipeline/services.ts";
import { readJsonObject } from "./json-body.ts";
import type { Route, RouteContext } from "./route.ts";

/** How the number came about: `counted` by the provider, `estimated` by the gateway. */
const header = "x-routeiq-token-count";

const anthropicRoutes = ["/v1/messages/count_tokens", "/messages/count_tokens"].map(
  (path): Route => ({
    method: "POST",
    path,
    who: "caller",
    errors: "anthropic",
    summary:
      "Anthropic's count of a request's tokens; an estimate where nobody counts the model's.",
    docs: {
      body: "MessageCountRequest",
      source: "https://platform.claude.com/docs/en/api/messages-count-tokens",
    },
    handle: (request, { services }) => countMessages(request, services),
  }),
);

const suffix = ":countTokens";
const geminiRoutes = ["/v1beta/models/*", "/v1/models/*", "/models/*", "/v1beta1/*"].map(
  (path): Route => ({
    method: "POST",
    path,
    suffix,
    who: "caller",
    errors: "gemini",
    summary: "`{model}:countTokens`, Gemini's count of a request's tokens; an estimate for others.",
    docs: { body: "TokenCountRequest", source: "https://ai.google.dev/api/tokens" },
    handle: countContents,
  }),
);

export const countRoutes: readonly Route[] = [...anthropicRoutes, ...geminiRoutes];

async function countMessages(request: Request, services: Services): Promise<Response> {
  const body = await readJsonObject(request, services);
  const dialect = dialects.anthropic;
  // A count needs no limit of output; the rest is checked as for a call.
  const chat = dialect.decodeRequest({ max_tokens: 1, ...body });
  const { headers, signal } = request;
  const count = await countTokens(
    { dialect, model: chat.model, body, chat, headers, signal },
    services,
  );
  return respondCount(count, (tokens) => ({ input_tokens: tokens }));
}

async function countContents(
  request: Request,
  { services, params }: RouteContext,
): Promise<Response> {
  const body = await readJsonObject(request, services);
  const dialect = dialects.gemini;
  // Vertex AI's clients put project, location and publisher before it.
  const model = (params["*"] ?? "")
    .slice(0, -suffix.length)
    .replace(/^.*?publishers\/[^/]+\/models\//, "");
  const whole = body["generateContentRequest"];
  const chat = dialect.decodeRequest({ ...(isObject(whole) ? whole : body), model });
  const { headers, signal } = request;
  const count = await countTokens({ dialect, model, body, chat, headers, signal }, services);
  return respondCount(count, (tokens) => ({ totalTokens: tokens }));
}

export function respondCount(count: TokenCount, toBody: (tokens: number) => JsonObject): Response {
  if (count.kind === "counted") {
    const reply = "reply" in count ? count.reply : toBody(count.tokens);
    return Response.json(reply, { headers: { [header]: "counted" } });
  }
  const { tokens, because } = count;
  const printable = because.replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
  return Response.json(
    { ...toBody(tokens), estimated: true },
    { headers: { [header]: "estimated", [`${header}-reason`]: printable } },
  );
}
