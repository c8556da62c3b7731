/** What is told of the router in force: counters, gauges, and audit events in the log. */
import type { ArtifactStatus } from "../../routing/slot.ts";
import type { ArtifactIdentity } from "../../routing/trained-router.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import type { Stage } from "../rollout/stages.ts";
import type { Verdict } from "../rollout/trial.ts";
import { type RefusalCode, refusalRemedies } from "./refusal.ts";

const words: Readonly<Record<Stage, string>> = {
  staged: "staged",
  shadow: "in the shadow",
  canary: "on trial as canary",
};

export function createPollReport(telemetry: Telemetry) {
  const rejects = telemetry.counter(
    "routeiq_artifact_reject_total",
    "Router artifacts that were refused, by refusal code.",
    ["code"],
  );
  const swaps = telemetry.counter("routeiq_artifact_swap_total", "Routers put in force.", ["from"]);
  const rollbacks = telemetry.counter(
    "routeiq_artifact_rollback_total",
    "Routers taken back: by the health window, from a canary, or by the operator.",
    ["regression"],
  );
  const version = telemetry.gauge(
    "routeiq_artifact_version",
    "Release in force; 0: static routing.",
  );
  const staleness = telemetry.gauge(
    "routeiq_artifact_stale",
    "1 while the repository's timestamp is expired.",
  );
  const canaryShare = telemetry.gauge(
    "routeiq_rollout_canary_share",
    "Share of calls that a release on trial answers; 0: none is.",
  );
  const transitions = telemetry.counter(
    "routeiq_rollout_transitions_total",
    "Steps of releases on their way into force, by where they led.",
    ["to"],
  );
  version.set(0);
  canaryShare.set(0);
  let lastRefusal = "";
  return {
    refused(code: RefusalCode, message: string, retired: boolean) {
      rejects.add(1, code);
      // Every refusal counts; the same one is told once.
      const text = `${code} ${message} ${retired}`;
      const level = text === lastRefusal ? "debug" : "error";
      lastRefusal = text;
      telemetry.log(level, "a router artifact was refused", {
        audit: "artifact.refused",
        code,
        reason: message,
        retired,
        remedy: refusalRemedies[code],
      });
    },
    swapped(identity: ArtifactIdentity, before: string, from: string) {
      lastRefusal = "";
      swaps.add(1, from);
      version.set(identity.version);
      const { name, sha256 } = identity;
      const fields = {
        audit: "artifact.active",
        name,
        version: identity.version,
        sha256,
        before,
        from,
      };
      telemetry.log("info", "a router is in force", fields);
    },
    wentStatic(artifact: string, { status, code, remedy }: ArtifactStatus) {
      version.set(0);
      const fields = { audit: "artifact.withdrawn", artifact, status, code, remedy };
      telemetry.log("error", "the router in force was withdrawn; routing is static", fields);
    },
    /** A release on its way into force: every step, and why. `undefined`: none is any more. */
    moved(artifact: string, stage: Stage | undefined, share: number, because: string) {
      canaryShare.set(share);
      transitions.add(1, stage ?? "none");
      const fields = { audit: `rollout.${stage ?? "ended"}`, artifact, share, reason: because };
      telemetry.log("info", stage ? `a release is ${words[stage]}` : "a rollout has ended", fields);
    },
    waits(artifact: string, undecided: boolean) {
      const audit = undecided ? "rollout.undecided" : "rollout.ready";
      const text = undecided
        ? "a canary had too few calls to be judged; it waits for the operator"
        : "a release has come through its steps; it waits for the operator";
      const remedy = "routeiq models status, then routeiq models promote or rollback";
      telemetry.log("warn", text, { audit, artifact, remedy });
    },
    /** A staged release is gone for good. */
    dropped({ arm: artifact, regression, message }: Verdict) {
      rollbacks.add(1, regression ?? "operator");
      const fields = { audit: "rollout.dropped", artifact, regression, reason: message };
      telemetry.log("error", "a release on trial is taken back; it never came into force", fields);
    },
    judged({ healthy, arm: artifact, regression, message }: Verdict) {
      if (!healthy) rollbacks.add(1, regression ?? "operator");
      const event = healthy ? "artifact.healthy" : "artifact.rolled_back";
      const text = healthy ? "a router passed its health window" : "a router is taken back";
      const fields = { audit: event, artifact, regression, reason: message };
      telemetry.log(healthy ? "info" : "error", text, fields);
    },
    stale(artifact: string, sinceMs: number) {
      const since = new Date(sinceMs).toISOString();
      const fields = { audit: "artifact.stale", artifact, since, remedy: refusalRemedies.expired };
      telemetry.log("warn", "artifact_stale: the repository's timestamp is expired", fields);
    },
    freshness(isStale: boolean) {
      staleness.set(isStale ? 1 : 0);
    },
    failed(what: string, error: unknown) {
      telemetry.log("error", `${what} failed`, {
        audit: "artifact.failed",
        reason: messageOf(error),
      });
    },
  };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
