/** `/v1/fine_tuning/jobs`: passed through to who tunes. */
import type { FineTuning } from "../../resources/fine-tuning/jobs.ts";
import type { Route } from "../route.ts";
import { type StoredRoute, storedRoutes } from "../stored-routes.ts";

const source = "https://platform.openai.com/docs/api-reference/fine-tuning";
const base = "/fine_tuning/jobs";

export function fineTuningRoutes(tuning: FineTuning): readonly Route[] {
  const actions = ["cancel", "pause", "resume"] as const;
  const lists = ["events", "checkpoints"] as const;
  const rows: readonly StoredRoute[] = [
    [
      "POST",
      base,
      "Begin a job at the model's provider, or `custom_llm_provider`'s; files of the gateway are brought there.",
      ({ body, query, caller }) => tuning.create(body, query, caller),
    ],
    ["GET", base, "Your jobs.", ({ query, caller }) => tuning.list(query, caller)],
    ["GET", `${base}/:id`, "How a job stands.", ({ at, caller }) => tuning.get(at("id"), caller)],
    ...actions.map(
      (action): StoredRoute => [
        "POST",
        `${base}/:id/${action}`,
        `A job's ${action}.`,
        ({ at, caller }) => tuning.act(at("id"), action, caller),
      ],
    ),
    ...lists.map(
      (list): StoredRoute => [
        "GET",
        `${base}/:id/${list}`,
        `A job's ${list}, as the provider has them.`,
        ({ at, query, caller }) => tuning.page(at("id"), list, query, caller),
      ],
    ),
  ];
  return storedRoutes(source, rows);
}
