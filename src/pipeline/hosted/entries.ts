/** Who runs the tools of a request: this gateway, or the provider of its model. */
import type { Call } from "../../domain/call.ts";
import { excerpt, GatewayError, toGatewayError } from "../../domain/errors.ts";
import type { HostedAsk, HostedClaim, HostedSource } from "../../domain/hosted-tool.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import type { Deployment } from "../../domain/model.ts";
import type { Services } from "../services.ts";
import { isHosted } from "./hosted-types.ts";
import { serverEntries } from "./messages-api.ts";
import type { OpenedEntry } from "./toolbox.ts";

export interface Entry {
  readonly entry: JsonObject;
  readonly source: HostedSource;
  /** Where it stands: `tools[0]`. */
  readonly param: string;
}

/** Of one request. */
const entryLimit = 32;

/** @throws GatewayError invalid_request; permission_denied for what the caller's key closes */
export function readEntries(
  { body, dialect, caller, requestId }: Call,
  sources: readonly HostedSource[],
): readonly Entry[] {
  const tools = Array.isArray(body["tools"]) ? body["tools"] : [];
  const find = (entry: Json, param: string): Entry[] => {
    const source = isHosted(entry) && sources.find(({ type }) => type === entry["type"]);
    return source ? [{ entry, source, param }] : [];
  };
  const servers = dialect === "anthropic" ? serverEntries(body) : [];
  const entries = [
    ...tools.flatMap((entry, i) => find(entry, `tools[${i}]`)),
    ...servers.flatMap((entry, i) => find(entry, `mcp_servers[${i}]`)),
  ];
  for (const { source, entry, param } of entries) {
    source.assertGranted?.(entry, { caller, requestId, param });
  }
  if (entries.length <= entryLimit) return entries;
  const message = `'tools' names ${entries.length} servers, skills and searches; the limit is ${entryLimit}.`;
  throw new GatewayError("invalid_request", message, { param: "tools" });
}

/**
 * Where a provider of the model has the Responses API, it runs what is not the gateway's own. What
 * nobody else can run makes the gateway run all of it.
 * @throws GatewayError unsupported_capability where neither can run all
 */
export async function isProviders(
  entries: readonly Entry[],
  call: Call,
  services: Services,
): Promise<boolean> {
  if (call.pin?.only) return true; // the conversation is there
  const claims = await Promise.all(
    entries.map(({ source, entry }) => source.claim(entry, call.caller)),
  );
  const foreign = claims.indexOf("foreign");
  if (!claims.includes("own")) return isLeft(foreign >= 0, call, services);
  const theirs = entries[foreign];
  if (!theirs) return false;
  throw new GatewayError(
    "unsupported_capability",
    `'${theirs.param}' is known to the model's provider alone, and ${ownOnes(entries, claims)} to this gateway alone: one of the two runs all tools of a request. Ask in two requests.`,
    { param: theirs.param },
  );
}

const ownOnes = (entries: readonly Entry[], claims: readonly HostedClaim[]) =>
  excerpt(entries.flatMap(({ param }, i) => (claims[i] === "own" ? [`'${param}'`] : [])).join());

/**
 * What the gateway could run is left to OpenAI itself, or Azure, where no other provider may be asked:
 * a server elsewhere that has the API need not have tools of its own. What it cannot run is left to
 * whoever has the API.
 */
function isLeft(mustBe: boolean, call: Call, { table, client }: Services): boolean {
  if (call.operation !== "responses") return mustBe || isAnthropics(call, table);
  const deployments = table.find(call.requestedModel, "chat")?.deployments ?? [];
  const able = deployments.filter(client.hasResponses);
  if (mustBe) return able.length > 0;
  return able.length > 0 && able.length === deployments.length && able.every(isAtHome);
}

/** Anthropic itself runs what its callers name, where it alone serves the model. */
function isAnthropics({ dialect, requestedModel }: Call, table: Services["table"]): boolean {
  const deployments = table.find(requestedModel, "chat")?.deployments ?? [];
  return (
    dialect === "anthropic" &&
    deployments.length > 0 &&
    deployments.every(
      ({ provider, apiBase }) =>
        provider === "anthropic" && /^https:\/\/api\.anthropic\.com(\/|$)/.test(apiBase),
    )
  );
}

const isAtHome = ({ provider, apiBase }: Deployment) =>
  provider.startsWith("azure") || /^https:\/\/([\w-]+\.)*openai\.com\//.test(`${apiBase}/`);

/** An entry that could not be opened. */
export class EntryFailed extends Error {
  readonly entry: JsonObject;
  readonly error: GatewayError;
  constructor(entry: JsonObject, error: GatewayError) {
    super(error.message, { cause: error });
    this.entry = entry;
    this.error = error;
  }
}

/** All of them, or none is left open. @throws EntryFailed */
export async function openEntries(
  entries: readonly Entry[],
  ask: Omit<HostedAsk, "param">,
): Promise<readonly OpenedEntry[]> {
  const opened = await Promise.allSettled(
    entries.map(async ({ entry, source, param }): Promise<OpenedEntry> => {
      return { entry, set: await source.open(entry, { ...ask, param }) };
    }),
  );
  const at = opened.findIndex(({ status }) => status === "rejected");
  const done = opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const [failed, of] = [opened[at], entries[at]];
  if (failed?.status !== "rejected" || !of) return done;
  for (const { set } of done) set.close();
  throw new EntryFailed(of.entry, toGatewayError(failed.reason));
}

/** The label by which an answer shows an entry that could not be opened. */
export function labelOf({ server_label: label, type }: JsonObject): string {
  return typeof label === "string" ? label : String(type);
}
