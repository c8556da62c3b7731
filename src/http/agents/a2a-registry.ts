/** The registry of A2A agents: LiteLLM's `/v1/agents`, and the predecessor's `/a2a/agents`. */
import type { Agent } from "../../agents/a2a/agent.ts";
import type { Agents } from "../../agents/a2a/agents-contract.ts";
import { VersionConflict } from "../../agents/a2a/registry.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isListed } from "../../domain/grants.ts";
import type { JsonObject } from "../../domain/json.ts";
import { grantsOf } from "../../pipeline/grants.ts";
import type { Services } from "../../pipeline/services.ts";
import { readJsonObject } from "../json-body.ts";
import { AdminError, callerOf, type Route } from "../route.ts";
import { assertAgentGranted } from "./a2a.ts";

export function a2aRegistryRoutes({ registry, check }: Agents): readonly Route[] {
  /** With a word of what could not be looked at, such as a card that cannot be had just now. */
  const told = async <T>(
    write: (look: (agent: Agent) => Promise<void>) => Promise<T>,
  ): Promise<readonly [T, JsonObject]> => {
    let warning: string | undefined;
    try {
      const written = await write(async (agent) => {
        warning = await check(agent);
      });
      return [written, warning === undefined ? {} : { warning }];
    } catch (thrown) {
      const isUrl =
        thrown instanceof GatewayError && thrown.param === "url" && /address/.test(thrown.message);
      if (isUrl) throw new AdminError(400, "invalid_url", thrown.message);
      if (thrown instanceof VersionConflict)
        throw new AdminError(409, "version_conflict", thrown.message);
      throw thrown;
    }
  };
  const add = (body: JsonObject) => told((look) => registry.add(body, look));
  const change = async (request: Request, id: string, services: Services, over: boolean) => {
    const body = await readJsonObject(request, services);
    const seen = request.headers.get("if-match")?.replaceAll('"', "");
    const ifVersion = seen === undefined || seen === "*" ? undefined : Number(seen);
    const [agent, warning] = await told((look) =>
      registry.change(id, body, { over, check: look, ifVersion }),
    );
    if (!agent) throw missing(id);
    return Response.json({ ...inFull(agent), ...warning });
  };
  const remove = async (id: string): Promise<Response> => {
    if (!(await registry.remove(id))) throw missing(id);
    return Response.json({
      status: "deleted",
      agent_id: id,
      message: "The agent is no longer served.",
    });
  };
  /** Those that the caller's key opens. */
  const open = async (request: Request, services: Services): Promise<readonly Agent[]> => {
    const list = grantsOf(callerOf(request, services), services)?.agents;
    return (await registry.list()).filter(({ name, id }) => isListed(list, name, id));
  };
  const routes: readonly [
    Route["method"],
    string,
    Route["who"],
    string,
    (request: Request, id: string, services: Services) => Promise<Response>,
  ][] = [
    [
      "GET",
      "/a2a/agents",
      "caller-or-admin",
      "The A2A agents, in short.",
      async (request, _id, services) =>
        Response.json({ agents: (await open(request, services)).map(inShort) }),
    ],
    [
      "POST",
      "/a2a/agents",
      "admin",
      "Register an A2A agent, or publish a model as one.",
      async (request, _id, services) => {
        const [agent, warning] = await add(await readJsonObject(request, services));
        const note = "Kept until it is deleted; reached at /a2a/{agent_name}.";
        return Response.json({
          status: "registered",
          agent_id: agent.id,
          agent_name: agent.name,
          note,
          ...warning,
        });
      },
    ],
    [
      "DELETE",
      "/a2a/agents/:id",
      "admin",
      "Delete an agent, by id or name.",
      (_request, id) => remove(id),
    ],
    [
      "DELETE",
      "/agents/:id",
      "admin",
      "Delete an agent, by id or name.",
      (_request, id) => remove(id),
    ],
    [
      "GET",
      "/v1/agents",
      "caller-or-admin",
      "The A2A agents, in LiteLLM's form.",
      async (request, _id, services) => Response.json((await open(request, services)).map(inFull)),
    ],
    [
      "POST",
      "/v1/agents",
      "admin",
      "Register an A2A agent, or publish a model as one.",
      async (request, _id, services) => {
        const [agent, warning] = await add(await readJsonObject(request, services));
        return Response.json({ ...inFull(agent), ...warning });
      },
    ],
    [
      "PUT",
      "/v1/agents/:id",
      "admin",
      "Change an agent: another body in the place of its own. `If-Match` names the version that was seen.",
      (request, id, services) => change(request, id, services, false),
    ],
    [
      "PATCH",
      "/v1/agents/:id",
      "admin",
      "Change fields of an agent; null takes one away.",
      (request, id, services) => change(request, id, services, true),
    ],
    [
      "GET",
      "/v1/agents/:id/versions",
      "admin",
      "What an agent is and was, the newest first: the last 10 changes.",
      async (_request, id) => {
        const versions = await registry.versions(id);
        if (!versions) throw missing(id);
        const data = versions.map(({ agent, changedMs }) => ({
          ...inFull(agent),
          changed_at: new Date(changedMs).toISOString(),
        }));
        return Response.json({ data });
      },
    ],
    [
      "GET",
      "/v1/agents/:id",
      "caller-or-admin",
      "An agent, by id or name.",
      async (request, id, services) => {
        const agent = await registry.find(id);
        if (!agent) throw missing(id);
        assertAgentGranted(agent, callerOf(request, services), services);
        return Response.json(inFull(agent));
      },
    ],
    [
      "DELETE",
      "/v1/agents/:id",
      "admin",
      "Delete an agent, by id or name.",
      (_request, id) => remove(id),
    ],
  ];
  return routes.map(
    ([method, path, who, summary, handle]): Route => ({
      ...{ method, path, who, summary, errors: "detail" as const },
      ...(["POST", "PUT", "PATCH"].includes(method)
        ? { docs: { body: "AgentRequest" as const } }
        : {}),
      handle: (request, { params, services }) => handle(request, params["id"] ?? "", services),
    }),
  );
}

const missing = (id: string) =>
  new AdminError(404, "agent_not_found", `There is no agent '${id.slice(0, 100)}'.`);

const urlOf = ({ serves, name }: Agent) =>
  serves.kind === "upstream" ? serves.url : `/a2a/${name}`;

function inShort(agent: Agent): JsonObject {
  const { id, name, description } = agent;
  return { agent_id: id, agent_name: name, description, url: urlOf(agent) };
}

/** Without anything secret: keys and header fields are not told, only that there are some. */
function inFull(agent: Agent): JsonObject {
  const { id, name, description, card, serves, origin, createdMs, version } = agent;
  const target: JsonObject =
    serves.kind === "model"
      ? { model: serves.model }
      : serves.kind === "skill"
        ? { skill: serves.skill }
        : { api_base: serves.url, headers: Object.keys(serves.headers) };
  return {
    ...{ agent_id: id, agent_name: name, description },
    agent_card_params: card,
    litellm_params: target,
    ...{ origin, version, created_at: new Date(createdMs).toISOString() },
  };
}
