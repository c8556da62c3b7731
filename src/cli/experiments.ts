/** `routeiq experiments status|stop|start`: A/B experiments of a running gateway. */
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import { assert } from "../std/assert.ts";
import { askGateway, urlFlag } from "./ask-gateway.ts";
import { type CommandContext, defineCommand } from "./command.ts";
import { showDifference } from "./models/rollout-text.ts";

export const experimentsStatusCommand = defineCommand({
  name: "experiments status",
  summary: "Show a gateway's A/B experiments: shares, calls, and each variant against the control.",
  args: { "[id]": "one of them; none: all" },
  flags: { url: urlFlag },
  example: "routeiq experiments status",
  async run(context) {
    const [id] = context.args;
    const path = "/admin/experiments";
    if (id !== undefined) {
      return show(
        await askGateway({ method: "GET", path: `${path}/${encodeURIComponent(id)}` }, context),
        context,
      );
    }
    const { experiments } = await askGateway({ method: "GET", path }, context);
    const all = Array.isArray(experiments) ? experiments.filter(isObject) : [];
    context.out.json({ experiments: all });
    if (all.length === 0) context.out.line("no experiments; see routeiq_settings.experiments");
    for (const one of all) for (const line of showExperiment(one)) context.out.line(line);
    return 0;
  },
});

export const experimentsStopCommand = defineCommand({
  name: "experiments stop",
  summary: "Stop a variant of an experiment: the control answers for it.",
  args: { id: "the experiment", variant: "its variant" },
  flags: { url: urlFlag },
  example: "routeiq experiments stop dial cheap",
  run: (context) => order("stop", context),
});

export const experimentsStartCommand = defineCommand({
  name: "experiments start",
  summary: "Give a stopped variant its share again; its calls are counted anew.",
  args: { id: "the experiment", variant: "its variant" },
  flags: { url: urlFlag },
  example: "routeiq experiments start dial cheap",
  run: (context) => order("start", context),
});

async function order(what: "stop" | "start", context: CommandContext): Promise<number> {
  const [id, variant] = context.args;
  assert(id !== undefined && variant !== undefined, "the parser holds a command to its arguments");
  const path = `/admin/experiments/${encodeURIComponent(id)}/${what}`;
  return show(await askGateway({ method: "POST", path, body: { variant } }, context), context);
}

function show(report: JsonObject, { out }: CommandContext): number {
  out.json(report);
  for (const line of showExperiment(report)) out.line(line);
  return 0;
}

function showExperiment(report: JsonObject): string[] {
  const { experiment_id: id, running, control, variants } = report;
  const rows = Array.isArray(variants) ? variants.filter(isObject) : [];
  return [
    `${text(id)}  ${running === true ? "running" : "not running"}, held against ${text(control)}`,
    ...rows.flatMap(showVariant),
  ];
}

function showVariant({ name, share, calls, stopped, differences }: JsonObject): string[] {
  const wide = typeof share === "number" ? `${Number((share * 100).toFixed(1))} %` : "";
  const halted = isObject(stopped) ? `, stopped: ${text(stopped["reason"])}` : "";
  const rows = Array.isArray(differences) ? differences.filter(isObject) : [];
  return [
    `  ${text(name)}  ${wide}, ${text(calls)} calls${halted}`,
    ...rows.flatMap(showDifference),
  ];
}

/** What came from outside has its control characters taken out. */
function text(value: Json | undefined): string {
  return String(value ?? "").replace(/\p{Cc}/gu, " ");
}
