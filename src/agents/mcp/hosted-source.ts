/**
 * MCP servers as tools that the gateway runs for a model: `{type: "mcp", …}` in a request's `tools`.
 * A server of the gateway's own goes by its name, or as LiteLLM's clients write it, by
 * `server_url: "litellm_proxy"`; one that stands elsewhere by its address, under the strict rule.
 * Source: https://platform.openai.com/docs/guides/tools-remote-mcp
 */

import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isForeignGranted } from "../../domain/grants.ts";
import type {
  HostedAsk,
  HostedClaim,
  HostedResult,
  HostedSet,
  HostedSource,
  HostedTool,
} from "../../domain/hosted-tool.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { denyClosed, grantsOf } from "../../pipeline/grants.ts";
import type { Services } from "../../pipeline/services.ts";
import type { Live, Mcp } from "./mcp.ts";
import { toScope } from "./scope.ts";
import { McpError } from "./sdk.ts";
import type { ForeignServer } from "./surface.ts";
import { costOf } from "./tools/run-tool.ts";
import { toHostedResult } from "./tools/tool-text.ts";

/** The gateway itself: all its servers, or the one whose name stands after it. */
const ownUrl = /^(?:litellm_proxy|routeiq)(?:\/mcp)?(?:\/([A-Za-z0-9_-]{1,64}))?\/?$/;

export function createMcpSource(mcp: Mcp, services: () => Services): HostedSource {
  return {
    type: "mcp",
    assertGranted(entry, { caller, requestId, param }) {
      const grants = grantsOf(caller, services());
      if (!grants || claim(entry) === "own") return; // its own are looked at where they are opened
      const { server_url: url, connector_id: connector, tunnel_id: tunnel } = entry;
      const name = [connector, tunnel, url]
        .filter(isText)
        .find((each) => !isForeignGranted(grants, each));
      if (name === undefined) return;
      throw denyClosed({ what: "MCP server", name, param, requestId }, caller, services());
    },
    claim: async (entry) => claim(entry),
    async open(entry, asked) {
      const label = labelOf(entry, asked.param);
      const claimed = claim(entry);
      if (claimed === "foreign") throw runsElsewhere(asked.param);
      const opening = { live: await mcp.live(), asked };
      return claimed === "own"
        ? openOwn(entry, label, opening)
        : openForeign(entry, label, opening);
    },
  };
}

function claim({ server_url: url, connector_id: connector, tunnel_id: tunnel }: JsonObject) {
  const claimed = (of: HostedClaim) => of;
  if (isText(connector) || isText(tunnel)) return claimed("foreign");
  return claimed(isText(url) && !ownUrl.test(url) ? "any" : "own");
}

const isText = (value: Json | undefined): value is string =>
  typeof value === "string" && value !== "";

function labelOf({ server_label: label }: JsonObject, param: string): string {
  if (isText(label) && label.length <= 64) return label;
  throw invalid(`${param}.server_label`, "must be a name of at most 64 characters");
}

interface Opening {
  readonly live: Live;
  readonly asked: HostedAsk;
}

/** Names of servers and groups that an entry means; none: all that the gateway has. */
function wantedBy(entry: JsonObject, label: string): readonly string[] {
  const { server_url: url, headers } = entry;
  if (!isText(url)) return [label];
  const path = ownUrl.exec(url)?.[1];
  if (path !== undefined) return [path];
  const named = isObject(headers) ? String(headers["x-mcp-servers"] ?? "") : "";
  return named.split(",").flatMap((name) => (name.trim() === "" ? [] : [name.trim()]));
}

/** Over the gateway's own links, with its pins and allow-lists. */
async function openOwn(entry: JsonObject, label: string, opening: Opening): Promise<HostedSet> {
  const { live, asked } = opening;
  const { caller, signal, param } = asked;
  const wanted = wantedBy(entry, label);
  const scope = toScope(await live.servers(caller), undefined, wanted);
  const denied = await live.closed(caller, wanted, param);
  if (denied) throw denied;
  if (!scope || scope.servers.length === 0) throw noServer(entry, wanted, param);
  const listed = await live.tools({ caller, wanted, signal });
  // One server that is away does not hide the others.
  const [away] = listed.away;
  if (away && listed.away.length === scope.servers.length) throw cannotList(label, away.why);
  const single = scope.servers.length === 1;
  const tools = listed.tools.map(({ server, bare, tool }): HostedTool => {
    return {
      ...toTool(tool, single ? bare : String(tool["name"])),
      run: (args, run) =>
        runIt(costOf(server, bare), run.signal, () =>
          live.callTool({ ...run, server, tool: bare, args }),
        ),
    };
  });
  return { shownAs: "mcp", label, listed: true, tools, close: () => undefined };
}

/** Over a connection of the request's own, which ends with it. */
async function openForeign(entry: JsonObject, label: string, opening: Opening): Promise<HostedSet> {
  const { live, asked } = opening;
  const named = toForeign(entry, label, asked.param);
  const server = live.openForeign(named, asked.caller);
  const close = () => void server.close().catch(() => undefined); // it is gone either way
  try {
    const listed = await server.tools(asked.signal);
    const tools = listed.map((definition): HostedTool => {
      const tool = String(definition["name"]);
      return {
        ...toTool(definition, tool),
        run: (args, { signal, requestId }) =>
          runIt(0, signal, () => server.call({ tool, args, signal, requestId })),
      };
    });
    return { shownAs: "mcp", label, listed: true, tools, close };
  } catch (thrown) {
    close();
    if (thrown instanceof GatewayError) throw thrown;
    throw cannotList(label, thrown instanceof Error ? thrown.message : "it failed");
  }
}

function toTool(definition: JsonObject, name: string): Omit<HostedTool, "run"> {
  const { description, inputSchema, annotations } = definition;
  return {
    name,
    description: typeof description === "string" ? description : "",
    parameters: isObject(inputSchema) ? inputSchema : { type: "object", properties: {} },
    ...(isObject(annotations) ? { annotations } : {}),
  };
}

async function runIt(
  costMicroUsd: number,
  signal: AbortSignal,
  call: () => Promise<JsonObject>,
): Promise<HostedResult> {
  try {
    return { ...toHostedResult(await call()), costMicroUsd };
  } catch (thrown) {
    signal.throwIfAborted();
    if (!(thrown instanceof McpError)) throw thrown;
    const { code, message } = thrown;
    return { text: message, failure: { kind: "protocol", code, message }, costMicroUsd };
  }
}

/** Of header fields that a request gives for a server elsewhere. */
const headerLimit = 64;

/** @throws GatewayError invalid_request */
function toForeign(entry: JsonObject, label: string, param: string): ForeignServer {
  const { server_url: url, headers, authorization } = entry;
  if (!isText(url) || !/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    throw invalid(`${param}.server_url`, "must be an http or https address, or litellm_proxy");
  }
  const sent = isObject(headers) ? Object.entries(headers) : [];
  const texts = sent.filter((pair): pair is [string, string] => typeof pair[1] === "string");
  if (sent.length > headerLimit || texts.length < sent.length) {
    throw invalid(`${param}.headers`, `must hold at most ${headerLimit} texts`);
  }
  const odd = texts.find(([name, value]) => !mayBeSent(name, value));
  if (odd)
    throw invalid(`${param}.headers`, `has a field that is not sent on: '${excerpt(odd[0])}'`);
  const token = isText(authorization) ? { authorization: `Bearer ${authorization}` } : {};
  return { label, url, headers: { ...Object.fromEntries(texts), ...token } };
}

/** What is the connection's own, and the protocol's, is not a caller's to say. */
const notSent =
  /^(host|connection|content-.*|transfer-encoding|te|trailer|upgrade|expect|mcp-.*)$/i;

const mayBeSent = (name: string, value: string) =>
  /^[!#$%&'*+.^_`|~\w-]+$/.test(name) && !notSent.test(name) && /^[\t\x20-\x7e]*$/.test(value);

function invalid(param: string, what: string): GatewayError {
  return new GatewayError("invalid_request", `'${param}' ${what}.`, { param });
}

function noServer(entry: JsonObject, wanted: readonly string[], param: string): GatewayError {
  const where = `${param}.${isText(entry["server_url"]) ? "server_url" : "server_label"}`;
  const message = `'${where}' names none of this gateway's MCP servers: '${excerpt(wanted.join())}'. GET /v1/mcp/server lists them; one that stands elsewhere needs its address as 'server_url'.`;
  return new GatewayError("not_found", message, { param: where });
}

function runsElsewhere(param: string): GatewayError {
  const message = `'${param}' is an MCP connector, which runs only at OpenAI, and this model is served elsewhere. Name a server by 'server_url' or 'server_label'.`;
  return new GatewayError("unsupported_capability", message, {
    param,
    wireCode: "unsupported_tool",
  });
}

function cannotList(label: string, why: string): GatewayError {
  const message = `The tools of the MCP server '${label}' cannot be listed: ${excerpt(why)}`;
  return new GatewayError("upstream_failed", message, { param: "tools" });
}
