/**
 * `/admin/model/*`: releases on their way into force on this gateway. An operator, or `routeiq loop`,
 * reads how they do and says what becomes of them.
 */
import type { JsonObject } from "../../domain/json.ts";
import type { Answer, RolloutControl } from "../../learning/rollout/control.ts";
import type { BodyName } from "../openapi/bodies.ts";
import { AdminError, type Route, type RouteContext } from "../route.ts";
import { readAdminBody } from "./read-admin-body.ts";

export interface RolloutParts {
  /** Undefined where no trained router is configured. */
  readonly rollout: () => RolloutControl | undefined;
}

type Order = (control: RolloutControl, body: JsonObject) => Promise<Answer>;

export function rolloutRoutes({ rollout }: RolloutParts): readonly Route[] {
  const admin = { who: "admin", errors: "detail" } as const;
  const order = (path: string, summary: string, body: BodyName, give: Order): Route => ({
    ...admin,
    method: "POST",
    path: `/admin/model/${path}`,
    summary,
    docs: { body },
    handle: (request, context) => follow(request, context, rollout, give),
  });
  return [
    {
      ...admin,
      method: "GET",
      path: "/admin/model/status",
      summary: "The release in force, the one on its way, how it does, and the last verdicts.",
      handle: () => Response.json(controlOf(rollout).status()),
    },
    order(
      "stage",
      "Take what the repository offers and hold it beside the release in force.",
      "StageRequest",
      (control, { again }) => control.stage(readSwitch("again", again)),
    ),
    order(
      "shadow",
      "Let the staged release score decisions in the background; it answers nobody.",
      "EmptyRequest",
      (control) => control.shadow(),
    ),
    order(
      "canary",
      "Let the staged release answer a share of the calls.",
      "CanaryRequest",
      (control, { share }) => control.canary(readShare(share)),
    ),
    order("promote", "Put the staged release in force.", "EmptyRequest", (control) =>
      control.promote(),
    ),
    order(
      "rollback",
      "Drop the staged release; where there is none, go back to the one before that in force.",
      "RollbackRequest",
      (control, { reason }) => control.rollBack(readReason(reason)),
    ),
  ];
}

async function follow(
  request: Request,
  { services }: RouteContext,
  rollout: RolloutParts["rollout"],
  give: Order,
): Promise<Response> {
  const body = await readAdminBody(request, services);
  const control = controlOf(rollout);
  const answer = await give(control, body);
  if (answer.done) return Response.json({ status: "success", ...control.status() });
  throw new AdminError(409, answer.code, `${answer.message}.`, { ...control.status() });
}

function controlOf(rollout: RolloutParts["rollout"]): RolloutControl {
  const control = rollout();
  if (control) return control;
  throw new AdminError(
    409,
    "no_trained_router",
    "This gateway is not configured for trained routers: set routing_strategy: llmrouter-… and routing_strategy_args.model_path.",
  );
}

function readSwitch(name: string, value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === "boolean") return value;
  throw new AdminError(400, "invalid_request", `${name} must be true or false.`);
}

function readShare(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && value > 0 && value <= 1) return value;
  throw new AdminError(400, "invalid_request", "share must be a number above 0, at most 1.");
}

const longestReason = 500;

function readReason(value: unknown): string {
  if (value === undefined || value === null) return "the operator asked for it";
  if (typeof value === "string" && value.length <= longestReason) return value;
  throw new AdminError(
    400,
    "invalid_request",
    `reason must be a text of at most ${longestReason} characters.`,
  );
}
