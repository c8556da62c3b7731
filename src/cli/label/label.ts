/** `routeiq label`: a judge says what logged answers were worth, or grades a shadow set, within a budget. */
import { type CommandContext, defineCommand } from "../command.ts";
import { listFlag, textFlag } from "../learning-inputs.ts";
import { UsageError } from "../parse.ts";
import { labelEvents } from "./label-events.ts";
import { openTools } from "./label-tools.ts";
import { runShadow } from "./shadow.ts";

export const labelCommand = defineCommand({
  name: "label",
  summary: "Have a language model grade logged answers, or a shadow set, within a budget.",
  flags: {
    events: {
      description: "Calls: a data folder, sqlite:PATH, or segments (a folder, s3://…).",
      value: "SRC",
    },
    judge: { description: "The model that grades.", value: "MODEL" },
    budget: { description: "What may be spent, answers included, in USD.", value: "USD" },
    plan: { description: "Say what would be labelled and what it would cost; ask nobody." },
    url: {
      description: "The gateway to ask. Default: ROUTEIQ_URL, else the one on this machine.",
      value: "URL",
    },
    "judge-url": {
      description: "Where the judge is, if not there: anything that speaks OpenAI's chat.",
      value: "URL",
    },
    "judge-price": {
      description: "USD per million input and output tokens, where nobody knows: 2.5,10.",
      value: "IN,OUT",
    },
    mode: {
      description:
        "pairwise (beside the nearest rival's answer, in both orders) or rubric (alone).",
      value: "MODE",
    },
    shadow: { description: "Have every model answer a stratified sample; rows go to --out." },
    data: {
      description: "With --shadow: queries ({id, query} a line).",
      value: "FILE…",
      many: true,
    },
    models: { description: "With --shadow: the models that answer, by comma.", value: "A,B,C" },
    out: { description: "With --shadow: file of rows that `train --data` reads.", value: "FILE" },
    limit: { description: "At most so many labels or rows.", value: "N" },
    concurrency: { description: "Calls under way at once. Default: 4; at most 32.", value: "N" },
    seed: { description: "Of the sample. Default: 1.", value: "N" },
  },
  example: "routeiq label --events ./.routeiq --judge gpt-4o --budget 2 --plan",
  run: runLabel,
});

async function runLabel(context: CommandContext): Promise<number> {
  const { flags } = context;
  const tools = await openTools(context);
  if (flags["shadow"] === true) return await runShadow(context, tools);
  const source = textFlag(flags, "events");
  if (source === undefined) throw new UsageError("--events SRC is needed (or --shadow).");
  if (listFlag(flags, "data").length > 0) {
    throw new UsageError("--data goes with --shadow: its rows go to a file, not to the event log.");
  }
  return await labelEvents(context, tools, source);
}
