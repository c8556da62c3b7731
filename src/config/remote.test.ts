/** Configuration out of a bucket: asked by ETag, kept when the bucket is gone. */
import { expect, test } from "bun:test";
import { GatewayError } from "../domain/errors.ts";
import { configPlaces } from "./files.ts";
import { loadConfig } from "./load.ts";
import { createRemoteTexts } from "./remote.ts";

const url = "s3://bucket/config.yaml";

function createBucket() {
  const objects = new Map<string, string>();
  const asked: (string | undefined)[] = [];
  let down = false;
  const copies = new Map<string, string>();
  return {
    asked,
    copies,
    put: (text: string) => void objects.set(url, text),
    remove: () => void objects.delete(url),
    fail(on: boolean) {
      down = on;
    },
    open: () =>
      createRemoteTexts(
        async (name, { ifNoneMatch }) => {
          if (down) throw new GatewayError("storage_failed", "the bucket cannot be reached");
          asked.push(ifNoneMatch);
          const text = objects.get(name);
          if (text === undefined) return undefined;
          const etag = `"${Bun.hash(text)}"`;
          if (ifNoneMatch === etag) return "not-modified";
          return { bytes: new TextEncoder().encode(text), etag };
        },
        {
          read: async (name) => copies.get(name),
          write: async (name, text) => void copies.set(name, text),
        },
      ),
  };
}

test("a look costs nothing where nothing changed, and finds what did", async () => {
  const bucket = createBucket();
  const remote = bucket.open();
  expect(await remote.read(url)).toBeUndefined();
  bucket.put("one");
  expect(await remote.read(url)).toBe("one");
  expect(await remote.look()).toBe(false);
  expect(bucket.asked.at(-1)).toBe(`"${Bun.hash("one")}"`);
  bucket.put("two");
  expect(await remote.look()).toBe(true);
  expect(await remote.look()).toBe(true); // until it was read
  expect(await remote.read(url)).toBe("two");
  expect(await remote.look()).toBe(false);
  expect(remote.news).toBe(2);
  bucket.remove();
  expect(await remote.look()).toBe(false);
  expect(remote.status()).toMatchObject([{ url, error: `${url} does not exist any more` }]);
});

test("a bucket that cannot be reached: what was read, else the copy of what last served", async () => {
  const bucket = createBucket();
  bucket.put("one");
  const remote = bucket.open();
  await remote.read(url);
  bucket.fail(true);
  expect(await remote.read(url)).toBe("one");
  expect(await remote.look()).toBe(false);
  expect(remote.status()[0]?.error).toContain("cannot be reached");
  await expect(bucket.open().read(url)).rejects.toThrow("cannot be reached"); // nothing kept yet
  await remote.keep();
  const next = bucket.open();
  expect(await next.read(url)).toBe("one");
  bucket.fail(false);
  bucket.put("two");
  expect(await next.look()).toBe(true);
});

const places: readonly [string, Record<string, string>, string | undefined, string][] = [
  [
    "LiteLLM's",
    { LITELLM_CONFIG_BUCKET_NAME: "b", LITELLM_CONFIG_BUCKET_OBJECT_KEY: "k.yaml" },
    undefined,
    "s3://b/k.yaml",
  ],
  [
    "at Google's",
    {
      LITELLM_CONFIG_BUCKET_NAME: "b",
      LITELLM_CONFIG_BUCKET_OBJECT_KEY: "k.yaml",
      LITELLM_CONFIG_BUCKET_TYPE: "gcs",
    },
    undefined,
    "gs://b/k.yaml",
  ],
  [
    "the predecessor's, above a flag",
    { CONFIG_S3_BUCKET: "b", CONFIG_S3_KEY: "a/k.yaml" },
    "x.yaml",
    "s3://b/a/k.yaml",
  ],
  ["a bucket without an object", { CONFIG_S3_BUCKET: "b" }, "x.yaml", "/app/x.yaml"],
  ["by flag", {}, "s3://b/k.yaml", "s3://b/k.yaml"],
];
test.each(places)("where it is: %s", (_name, env, flag, path) => {
  expect(configPlaces(flag, "/app", env)[0]?.path).toBe(path);
});

test("includes lie beside the file in the bucket", async () => {
  const files: Record<string, string> = {
    "s3://b/dir/c.yaml": "include: [more.yaml]\n",
    "s3://b/dir/more.yaml":
      "model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k}}]\n",
  };
  const loaded = await loadConfig({
    cwd: "/",
    env: {},
    path: "s3://b/dir/c.yaml",
    readText: async (path) => files[path],
  });
  expect(loaded.findings).toEqual([]);
  expect(loaded.config?.files).toEqual(Object.keys(files));
  expect(loaded.reads).toEqual(Object.keys(files));
});
