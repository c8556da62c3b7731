/** Places and names that lead nowhere: what is told, where, and how to mend it. */
import { describe, expect, test } from "bun:test";
import { loadConfig } from "../load.ts";
import { checkConfig } from "./check.ts";
import { findPlaceProblem } from "./check-places.ts";

const base = `model_list:
  - {model_name: fast, litellm_params: {model: openai/gpt-4o-mini, api_key: sk-x}}
general_settings: {master_key: sk-master-key-0123456}
`;

async function findingsOf(text: string) {
  const loaded = await loadConfig({
    path: "/c.yaml",
    cwd: "/",
    env: {},
    readText: async () => base + text,
  });
  const known = { strategies: ["llmrouter-knn"], balancers: ["simple-shuffle"], notServed: [] };
  return checkConfig(loaded, { known, exists: (path) => path.startsWith("/there") }).findings;
}

const knn = (args: string) =>
  `router_settings: {routing_strategy: llmrouter-knn, routing_strategy_args: {${args}}}`;

const cases = [
  // [what stands in the file, level, path, message, remedy]
  [
    knn("model_path: 's3:/models/router', model_root: /there"),
    "warning",
    "model_path",
    "is none",
    "s3://bucket/prefix",
  ],
  [
    knn("model_path: 's3://', model_root: /there"),
    "warning",
    "model_path",
    "names no bucket",
    "s3://bucket/prefix",
  ],
  [
    knn("model_path: 'https://x/router', model_root: /there"),
    "warning",
    "model_path",
    "https is no place",
    "folder",
  ],
  [
    knn("model_path: s3://b/r, model_root: 'sha256:12'"),
    "warning",
    "model_root",
    "no SHA-256",
    "keygen",
  ],
  [
    knn("model_path: s3://b/r, model_root: keys/1.root.json"),
    "warning",
    "model_root",
    "does not exist",
    "1.root.json",
  ],
  [
    "agent_list: [{agent_name: a, model: fats}]",
    "warning",
    "agent_list[0].model",
    '"fats"',
    '"fast"',
  ],
  [
    "routeiq_settings: {vector_stores: {embedding_model: nope}}",
    "warning",
    "embedding_model",
    '"nope"',
    "model_name",
  ],
  [
    "routeiq_settings: {vector_stores: {backend: nope}}",
    "error",
    "backend",
    "none of the backends",
    "backends: {provider",
  ],
  [
    "routeiq_settings: {vector_stores: {backend: quadrant, backends: {qdrant: {provider: qdrant, url: 'https://q'}}}}",
    "error",
    "backend",
    '"quadrant"',
    "qdrant",
  ],
  [
    "routeiq_settings: {vector_stores: {backends: {a: {provider: qdrant}}}}",
    "error",
    "backends.a",
    "url is missing",
    "",
  ],
  [
    "routeiq_settings: {skills: {folder: /nope}}",
    "warning",
    "skills.folder",
    "/nope does not exist",
    "docs/skills.md",
  ],
  [
    "routeiq_settings: {embedding: {onnx_path: /nope}}",
    "error",
    "onnx_path",
    "/nope does not exist",
    "model.onnx",
  ],
  [
    "routeiq_settings: {telemetry: {export: {to: 's3//b', format: jsonl}}}",
    "error",
    "export.to",
    "is none",
    "s3://bucket",
  ],
  [
    "routeiq_settings: {experiment_figures: 'gs://b'}",
    "error",
    "experiment_figures",
    "gs is no place",
    "s3://bucket",
  ],
  ["routeiq_settings: {files: {to: 'gs://b'}}", "error", "files.to", "s3://bucket/prefix, not", ""],
] as const;

test.each(cases)("%s", async (text, level, path, message, remedy) => {
  const found = (await findingsOf(text)).find((each) => each.path.endsWith(path));
  expect(found).toMatchObject({ level, line: 4 });
  expect(found?.message).toContain(message);
  expect(found?.remedy).toContain(remedy);
});

test("what is in order is not told of", async () => {
  const text = `${knn("model_path: s3://b/r, model_root: /there/1.root.json")}
agent_list: [{agent_name: a, model: fast}, {agent_name: b, model: auto}]
routeiq_settings: {vector_stores: {embedding_model: fast}, skills: {folder: /there}}`;
  expect(await findingsOf(text)).toEqual([]);
});

describe("places", () => {
  test.each([
    "s3://bucket",
    "s3://my.bucket/a/b",
    "file:///srv/x",
    "./router",
    "/srv/x",
    "s3/x",
    "C:\\x",
  ])("%s is one", (place) => expect(findPlaceProblem(place)).toBeUndefined());
});
