/** A router of scikit-learn, imported, decides as the original did; its embeddings come from a model. */
import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { checkConfig } from "../src/config/check/check.ts";
import { loadConfig } from "../src/config/load.ts";
import { identifyRemote } from "../src/embedding/remote.ts";
import { createKernels } from "../src/kernels/create.ts";
import { sha256Hex } from "../src/learning/artifacts/canonical.ts";
import { writeArtifactFolder } from "../src/learning/artifacts/folder.ts";
import { importRouter } from "../src/learning/import/import-router.ts";
import { toArtifact } from "../src/learning/import/write-artifact.ts";
import { knownNames } from "../src/routing/known-names.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway } from "./support/gateway.ts";
import { openaiReply } from "./support/upstreams.ts";

const fixtures = join(import.meta.dir, "fixtures/imports/2026");
const expected = JSON.parse(readFileSync(join(fixtures, "expected.json"), "utf8")) as {
  queries: number[][];
  files: Record<string, { predicted: string[] }>;
};
const temp = mkdtempSync(join(tmpdir(), "routeiq-imported-"));

/** Chat is answered; "query 3" is embedded as the fixtures' fourth query; "wait" never is. */
const asked: string[] = [];
const upstream = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const body = (await request.json()) as { input?: string };
    if (!request.url.endsWith("/embeddings")) return Response.json(openaiReply);
    asked.push(String(body.input));
    if (body.input === "wait") return new Promise<Response>(() => undefined);
    const embedding = expected.queries[Number(/\d+/.exec(body.input ?? "")?.[0])];
    const data = [{ object: "embedding", index: 0, embedding }];
    return Response.json({
      object: "list",
      model: "e",
      data,
      usage: { prompt_tokens: 3, total_tokens: 3 },
    });
  },
});
afterAll(async () => {
  await upstream.stop(true);
  rmSync(temp, { recursive: true, force: true });
});

const labels = ["gpt-4o", "claude-haiku", "llama-3-8b", "qwen-é"];
const access = { api_base: `${upstream.url.origin}/v1`, api_key: "sk-test" };
const toYaml = (args: object, embedding: object) =>
  stringify({
    model_list: [
      ...labels.map((label) => ({
        model_name: "best",
        litellm_params: { model: `openai/${label === "qwen-é" ? "qwen" : label}`, ...access },
      })),
      {
        model_name: "minilm",
        litellm_params: { model: "openai/minilm", ...access },
        model_info: { mode: "embedding" },
      },
    ],
    router_settings: {
      routing_strategy: "llmrouter-knn",
      routing_strategy_args: { label_mapping: { "qwen-é": "openai/qwen" }, ...args },
    },
    routeiq_settings: { embedding: { timeout_ms: 5_000, ...embedding } },
  });
const raw = { model: "minilm", dimensions: 12, normalize: false };

async function call(url: string, content: string) {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "best", messages: [{ role: "user", content }] }),
  });
  await response.arrayBuffer();
  const of = (name: string) => response.headers.get(`x-routeiq-${name}`);
  return {
    status: response.status,
    model: of("model"),
    strategy: of("strategy"),
    artifact: of("artifact"),
  };
}

const named = (label: string | undefined) => `openai/${label === "qwen-é" ? "qwen" : label}`;

async function writeImported(file: string, embedding: typeof raw): Promise<string> {
  const bytes = new Uint8Array(readFileSync(join(fixtures, file)));
  const path = join(temp, `${file}-imported`);
  const content = await toArtifact(importRouter(bytes, {}), {
    name: "router",
    embedder: identifyRemote(embedding),
    kernels: createKernels,
    source: sha256Hex(bytes),
  });
  await writeArtifactFolder(path, content);
  return path;
}

test("every call goes where the original would have sent it", async () => {
  const path = await writeImported("knn.pkl", raw);
  const args = { model_path: path, allow_unsigned_local: true };
  const { gateway } = await startTestGateway({
    yaml: toYaml(args, raw),
    outbound: createOutbound(),
  });
  await gateway.reloadRouter();
  const predicted = expected.files["knn.pkl"]?.predicted ?? [];
  for (const [i, label] of predicted.entries()) {
    const got = await call(gateway.url, `query ${i}`);
    expect(got).toEqual({
      status: 200,
      model: named(label),
      strategy: "imported-knn",
      artifact: "router@0",
    });
  }
  expect(asked.filter((text) => text.startsWith("query"))).toHaveLength(predicted.length);
  await gateway.close();
});

test("an embedding that does not come in time leaves a call to the static strategy", async () => {
  const path = await writeImported("svc-rbf.pkl", raw);
  const args = { model_path: path, allow_unsigned_local: true };
  const { gateway, log } = await startTestGateway({
    yaml: toYaml(args, { ...raw, timeout_ms: 40 }),
    outbound: createOutbound(),
  });
  await gateway.reloadRouter();
  const got = await call(gateway.url, "wait");
  expect(got).toMatchObject({ status: 200, artifact: "none", strategy: "simple-shuffle" });
  expect(log.some((line) => line.includes("the trained router failed"))).toBe(true);
  await gateway.close();
});

test("another embedder than its own is a refusal, with the setting that mends it", async () => {
  const path = await writeImported("logistic.pkl", raw);
  const args = { model_path: path, allow_unsigned_local: true };
  for (const embedding of [{}, { ...raw, normalize: true }]) {
    const { gateway } = await startTestGateway({
      yaml: toYaml(args, embedding),
      outbound: createOutbound(),
    });
    await gateway.reloadRouter();
    const status = gateway.slot.status();
    expect(status).toMatchObject({ status: "refused", code: "runtime" });
    expect(status.remedy).toContain(
      "set routeiq_settings.embedding: {model: minilm, dimensions: 12, normalize: false}",
    );
    expect(await call(gateway.url, "query 1")).toMatchObject({ status: 200, artifact: "none" });
    await gateway.close();
  }
});

describe("LLMROUTER_ALLOW_PICKLE_MODELS", () => {
  const file = join(temp, "router_model.pkl");
  const args = { model_path: file };
  const start = async (env: Record<string, string>, embedding: object = raw) => {
    const yaml = toYaml(args, embedding);
    const { gateway } = await startTestGateway({ yaml, env, outbound: createOutbound() });
    await gateway.reloadRouter();
    return gateway;
  };

  test("false refuses the file, with the command that converts it", async () => {
    copyFileSync(join(fixtures, "knn.pkl"), file);
    const gateway = await start({});
    expect(gateway.slot.status()).toMatchObject({ status: "refused", code: "format" });
    expect(gateway.slot.status().remedy).toContain(`routeiq models import ${file} --embedder`);
    await gateway.close();
  });

  test("true converts it at start, and again when it changes", async () => {
    copyFileSync(join(fixtures, "knn.pkl"), file);
    const gateway = await start({ LLMROUTER_ALLOW_PICKLE_MODELS: "true" });
    expect(gateway.slot.status()).toMatchObject({ status: "active", name: "router" });
    const wanted = named(expected.files["knn.pkl"]?.predicted[4]);
    expect(await call(gateway.url, "query 4")).toMatchObject({
      model: wanted,
      strategy: "imported-knn",
    });
    copyFileSync(join(fixtures, "zlib-svc.joblib"), file);
    await gateway.reloadRouter();
    expect(await call(gateway.url, "query 4")).toMatchObject({ strategy: "imported-svc" });
    // What is no router changes nothing.
    copyFileSync(join(fixtures, "whole-module.pt"), file);
    expect(await gateway.reloadRouter()).toMatchObject({ status: "active", code: "format" });
    expect(await call(gateway.url, "query 4")).toMatchObject({ strategy: "imported-svc" });
    await gateway.close();
  });

  test("enforced signatures want a manifest, or the file's hash", async () => {
    copyFileSync(join(fixtures, "knn.pkl"), file);
    const hash = sha256Hex(new Uint8Array(readFileSync(file)));
    const env = { LLMROUTER_ALLOW_PICKLE_MODELS: "true", LLMROUTER_ENFORCE_SIGNED_MODELS: "true" };
    const refused = await start(env);
    expect(refused.slot.status()).toMatchObject({ status: "refused", code: "format" });
    expect(refused.slot.status().remedy).toContain(`LLMROUTER_PICKLE_ALLOWLIST=${hash}`);
    await refused.close();
    const taken = await start({ ...env, LLMROUTER_PICKLE_ALLOWLIST: hash });
    expect(taken.slot.status()).toMatchObject({ status: "active" });
    await taken.close();
  });

  test("the built-in embedder is not the one it was trained with", async () => {
    copyFileSync(join(fixtures, "knn.pkl"), file);
    const gateway = await start({ LLMROUTER_ALLOW_PICKLE_MODELS: "true" }, {});
    expect(gateway.slot.status().remedy).toContain("trained on embeddings of 12 numbers");
    await gateway.close();
  });
});

test.each([
  ["no model of that name", { model: "nothing", dimensions: 12 }, "no model_name"],
  ["no length", { model: "minilm" }, "is not said"],
  ["two embedders", { ...raw, onnx_path: "/models/minilm" }, "one embedder"],
])("a configuration with %s is refused at start", async (_name, embedding, why) => {
  const readText = () => Promise.resolve(toYaml({}, embedding));
  const loaded = await loadConfig({ cwd: "/", env: {}, readText });
  const { config, findings } = checkConfig(loaded, { known: knownNames });
  expect(config).toBeUndefined();
  expect(findings.find(({ level }) => level === "error")?.message).toContain(why);
});
