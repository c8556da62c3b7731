/** `routeiq models rollback`: an older release's content comes back, under a new and higher number. */
import { rollbackRelease } from "../../learning/artifacts/publish.ts";
import { defineCommand } from "../command.ts";
import { UsageError } from "../parse.ts";
import { reportPublished, targetFrom } from "./publish.ts";
import {
  countFrom,
  expiresFlag,
  keyFlag,
  releaseExpires,
  reportRefusal,
  rootFlag,
  timestampExpiresFlag,
  whenFrom,
  withRepository,
} from "./repository.ts";

export const rollbackCommand = defineCommand({
  name: "models rollback",
  summary: "Publish an older release's content again. Counters only grow, so its number is new.",
  args: { repository: "folder, file:///… or s3://bucket/prefix" },
  flags: {
    to: { description: "The release that should come back, of `models list`.", value: "N" },
    key: keyFlag,
    root: rootFlag,
    expires: expiresFlag,
    "timestamp-expires": timestampExpiresFlag,
  },
  example: "routeiq models rollback s3://models/router --to 12 --key keys",
  run: (context) =>
    reportRefusal(context, async () => {
      const { args, flags } = context;
      const to = countFrom(flags["to"], 0, "to");
      if (to === 0) throw new UsageError("--to is missing: the release that should come back.");
      return await withRepository(args[0] ?? "", context, async (store) => {
        const target = await targetFrom(store, context);
        const expiresMs = whenFrom(flags["expires"], releaseExpires, target.nowMs, "expires");
        reportPublished(await rollbackRelease({ ...target, to, expiresMs }), store, context);
        return 0;
      });
    }),
});
