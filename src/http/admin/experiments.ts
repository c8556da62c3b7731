/** `/admin/experiments`: how A/B experiments do, and the operator's word on their variants. */
import type { Experiments } from "../../learning/rollout/experiments.ts";
import { AdminError, type Route, type RouteContext } from "../route.ts";
import { readAdminBody } from "./read-admin-body.ts";

export function experimentRoutes(experiments: Experiments): readonly Route[] {
  const admin = { who: "admin", errors: "detail" } as const;
  return [
    {
      ...admin,
      method: "GET",
      path: "/admin/experiments",
      summary: "Experiments: shares, calls, and every variant held against the control.",
      handle: () => Response.json({ experiments: experiments.reports() }),
    },
    {
      ...admin,
      method: "GET",
      path: "/admin/experiments/:id",
      summary: "One of them.",
      handle: (_request, { params }) => Response.json(reportOf(params["id"] ?? "", experiments)),
    },
    {
      ...admin,
      method: "POST",
      path: "/admin/experiments/:id/stop",
      summary: "Stop a variant: the control answers for it.",
      docs: { body: "VariantRequest" },
      handle: (request, context) => order(request, context, experiments, "stop"),
    },
    {
      ...admin,
      method: "POST",
      path: "/admin/experiments/:id/start",
      summary: "Give a stopped variant its share again; its calls are counted anew.",
      docs: { body: "VariantRequest" },
      handle: (request, context) => order(request, context, experiments, "start"),
    },
  ];
}

function reportOf(id: string, experiments: Experiments) {
  const found = experiments.reports().find(({ experiment_id: one }) => one === id);
  if (found) return found;
  const known = experiments.reports().map(({ experiment_id: one }) => one);
  const there = known.length > 0 ? `There are: ${known.join(", ")}` : "There is none";
  throw new AdminError(404, "experiment_not_found", `There is no such experiment. ${there}.`);
}

async function order(
  request: Request,
  { services, params }: RouteContext,
  experiments: Experiments,
  what: "stop" | "start",
): Promise<Response> {
  const id = params["id"] ?? "";
  const { variant } = await readAdminBody(request, services);
  const { control, variants } = reportOf(id, experiments);
  const names = variants.map(({ name }) => name);
  if (typeof variant !== "string" || !names.includes(variant)) {
    const message = `variant must be one of: ${names.join(", ")}.`;
    throw new AdminError(400, "invalid_request", message);
  }
  const done =
    what === "stop"
      ? experiments.stop(id, variant, "the operator asked for it")
      : experiments.start(id, variant);
  if (!done) {
    const message =
      what === "stop"
        ? `${control} is the control, which answers for the others. Set enabled: false to end the experiment.`
        : "The variant is not stopped.";
    throw new AdminError(409, `cannot_${what}`, message);
  }
  return Response.json({ status: "success", ...reportOf(id, experiments) });
}
