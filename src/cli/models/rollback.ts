/**
 * `routeiq models rollback`: of a repository, an older release's content comes back, under a new and
 * higher number, for every gateway; of a gateway, what it has staged goes, or what served before
 * comes back there.
 */
import { rollbackRelease } from "../../learning/artifacts/publish.ts";
import { urlFlag } from "../ask-gateway.ts";
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
import { rollBackGateway } from "./rollout.ts";

export const rollbackCommand = defineCommand({
  name: "models rollback",
  summary:
    "Publish an older release's content again (with --to), or take a gateway's release back (without a repository).",
  args: { "[repository]": "folder, file:///… or s3://bucket/prefix; none: the gateway at --url" },
  flags: {
    to: { description: "The release that should come back, of `models list`.", value: "N" },
    key: keyFlag,
    root: rootFlag,
    expires: expiresFlag,
    "timestamp-expires": timestampExpiresFlag,
    url: urlFlag,
    reason: { description: "Of a gateway's rollback, for its audit log.", value: "TEXT" },
  },
  example: "routeiq models rollback s3://models/router --to 12 --key keys",
  run: (context) => {
    if (context.args.length === 0 && context.flags["to"] === undefined) {
      return rollBackGateway(context);
    }
    return reportRefusal(context, async () => {
      const { args, flags } = context;
      if (args.length === 0) throw new UsageError("--to is for a repository: name it.");
      const to = countFrom(flags["to"], 0, "to");
      if (to === 0) throw new UsageError("--to is missing: the release that should come back.");
      return await withRepository(args[0] ?? "", context, async (store) => {
        const target = await targetFrom(store, context);
        const expiresMs = whenFrom(flags["expires"], releaseExpires, target.nowMs, "expires");
        reportPublished(await rollbackRelease({ ...target, to, expiresMs }), store, context);
        return 0;
      });
    });
  },
});
