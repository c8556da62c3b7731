/** `POST /config/reload` and `POST /llmrouter/reload`: whole or not at all, and told exactly. */
import type { KnownNames } from "../../config/check/rule.ts";
import type { Finding } from "../../config/finding.ts";
import type { ConfigReloader, SyncStatus } from "../../config/reload.ts";
import { excerpt } from "../../domain/errors.ts";
import type { ArtifactStatus } from "../../routing/slot.ts";
import { AdminError, type Route, type RouteContext } from "../route.ts";
import { readAdminBody } from "./read-admin-body.ts";

export interface ReloadParts {
  readonly reloader: ConfigReloader;
  readonly known: KnownNames;
  readonly sync?: (() => SyncStatus) | undefined;
  readonly artifact: () => ArtifactStatus;
  /** Looks for a newer trained router at once; undefined where none is configured. */
  readonly reloadRouter?: (() => Promise<ArtifactStatus>) | undefined;
}

export function reloadRoutes(parts: ReloadParts): readonly Route[] {
  const admin = { method: "POST", who: "admin", errors: "detail" } as const;
  return [
    {
      ...admin,
      path: "/config/reload",
      summary: "Read the configuration anew; 400 and the old one where it is refused.",
      docs: { body: "ConfigReloadRequest" },
      async handle(request, { services }) {
        await readAdminBody(request, services);
        return reloadConfig(parts);
      },
    },
    {
      ...admin,
      path: "/llmrouter/reload",
      summary: "Look for a newer trained router at once.",
      docs: { body: "RouterReloadRequest" },
      handle: (request, context) => reloadRouter(request, context, parts),
    },
  ];
}

async function reloadConfig({ reloader, sync }: ReloadParts): Promise<Response> {
  const syncedAtMs = sync?.().syncedAtMs;
  const { lastOutcome, count, findings, error } = await reloader.reload("api");
  if (lastOutcome !== "applied") {
    const first = findings.find(({ level }) => level === "error");
    const why = error ?? (first ? `${placeOf(first)}${first.message}` : "it was refused");
    const message = `The configuration was not taken into service, and the old one serves on: ${why}.`;
    throw new AdminError(400, "config_reload_failed", message, { findings });
  }
  return Response.json({
    status: "success",
    message: "Config reload triggered",
    synced_from_remote: sync?.().syncedAtMs !== syncedAtMs,
    reload_count: count,
    findings,
  });
}

const placeOf = ({ file, line, path }: Finding) =>
  `${file}${line > 0 ? `:${line}` : ""}: ${path === "" ? "" : `${path}: `}`;

async function reloadRouter(
  request: Request,
  { services }: RouteContext,
  { known, artifact, reloadRouter: poll }: ReloadParts,
): Promise<Response> {
  const { strategy: asked } = await readAdminBody(request, services);
  const strategy = services.config.router.routingStrategy;
  if (asked !== undefined && asked !== null && asked !== strategy) {
    const name = excerpt(String(asked));
    const served = known.strategies.includes(name) || known.balancers.includes(name);
    const message = served
      ? `The strategy in force is ${strategy}. Write ${name} into router_settings.routing_strategy and POST /config/reload.`
      : `There is no strategy "${name}".`;
    throw new AdminError(400, served ? "strategy_not_active" : "unknown_strategy", message);
  }
  const status = poll ? await poll() : artifact();
  if (status.status === "refused" || status.status === "missing") {
    const message = status.remedy ?? "No trained router is in force; routing is static.";
    throw new AdminError(409, status.code ?? `artifact_${status.status}`, message, {
      artifact: status,
    });
  }
  return Response.json({ status: "success", strategy, artifact: status });
}
