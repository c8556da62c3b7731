/** From `routing_strategy_args` to a plan: each way to have no router comes with what to do. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  oneEach,
  rootBody,
  signed as signBody,
} from "../../../test/support/artifact-repository.ts";
import type { RoutingStrategyArgs } from "../../config/config.ts";
import { sha256Hex } from "./canonical.ts";
import { toArtifactPlan } from "./plan.ts";

const temp = await mkdtemp(join(tmpdir(), "routeiq-plan-"));
afterAll(() => rm(temp, { recursive: true, force: true }));
const root = signBody(rootBody(1, oneEach), oneEach.root);
const hash = sha256Hex(root);
await Bun.write(join(temp, "1.root.json"), root);
await Bun.write(join(temp, "trained/release.json"), "{}");
await Bun.write(join(temp, "published/timestamp.json"), "{}");

const plan = (args: RoutingStrategyArgs) =>
  toArtifactPlan({ strategy: "llmrouter-knn", args, dataDir: "/data", s3: {} });
const pinned = { model_root: `sha256:${hash}` };

describe("static, and why", () => {
  const cases: readonly (readonly [string, RoutingStrategyArgs, string, string])[] = [
    ["no path", {}, "missing", "routeiq train"],
    ["a pickle", { model_path: "/app/models/router_model.pkl" }, "refused", "pickle"],
    ["a pickle on S3", { model_path: "s3://models/router.pkl" }, "refused", "pickle"],
    ["torch", { model_path: "m.pt" }, "refused", "pickle"],
    ["one file", { model_path: "m.onnx", ...pinned }, "refused", "no repository"],
    ["no root", { model_path: "s3://models/router" }, "refused", "keygen"],
    ["a root that is not there", { model_path: temp, model_root: "no.json" }, "refused", "no.json"],
    [
      "unsigned",
      { model_path: join(temp, "trained"), ...pinned },
      "refused",
      "allow_unsigned_local",
    ],
  ];
  test.each(cases)("%s", (_name, args, status, remedy) => {
    const made = plan(args);
    expect(made).toMatchObject({ kind: "static", status: { status } });
    expect(made.kind === "static" && made.status.remedy).toContain(remedy);
  });
});

test("a repository, with the defaults of the contract", () => {
  expect(plan({ model_path: "s3://models/router", ...pinned })).toMatchObject({
    kind: "source",
    source: {
      kind: "repository",
      address: "s3://models/router",
      pin: { sha256: hash },
      name: "router",
      copyFolder: `/data/artifacts/router-${hash.slice(0, 12)}`,
    },
    intervalMs: 300_000,
    maxStaleMs: 7 * 86_400_000,
    hotReload: true,
  });
});

test("a root by file and by hash are one trust, and one copy", () => {
  const folder = (args: RoutingStrategyArgs) => {
    const made = plan({ model_path: "/models", ...args });
    return made.kind === "source" && made.source.kind === "repository" && made.source.copyFolder;
  };
  expect(folder({ model_root: join(temp, "1.root.json") })).toBe(folder(pinned));
  expect(folder({ model_root: `file://${join(temp, "1.root.json")}` })).toBe(folder(pinned));
  expect(folder({ ...pinned, model_name: "../../etc" })).toStartWith("/data/artifacts/");
});

test("an unsigned folder only where it is allowed; a repository goes before it", () => {
  const path = join(temp, "trained");
  expect(plan({ model_path: path, allow_unsigned_local: true })).toMatchObject({
    source: { kind: "folder", path },
  });
  const published = { model_path: join(temp, "published"), allow_unsigned_local: true };
  expect(plan({ ...published, ...pinned })).toMatchObject({ source: { kind: "repository" } });
});

test("what says nothing is an error", () => {
  const args = { model_path: "s3://models/router", ...pinned };
  expect(() => plan({ ...args, max_stale: "soon" })).toThrow("max_stale");
  expect(() => plan({ ...args, model_root: "sha256:xyz" })).toThrow("64 hex");
  expect(() => plan({ ...args, model_path: "gs://x/y" })).toThrow("s3://bucket/prefix");
});
