/** A changed configuration is taken into service while calls go on: from files and from a bucket. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createOutbound } from "../../src/security/outbound.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createS3ObjectStore } from "../../src/storage/s3/object-store.ts";
import { createFolder, startGateway } from "../support/binary.ts";
import { missingS3Server, type S3Server, startS3Server } from "../support/s3-server.ts";

const upstream = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: () =>
    Response.json({
      id: "x",
      object: "chat.completion",
      created: 1,
      model: "m",
      choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    }),
});
afterAll(() => upstream.stop(true));

const configOf = (...names: readonly string[]) => `model_list:
${names.map((name) => `  - {model_name: ${name}, litellm_params: {model: openai/m, api_key: k, api_base: "${upstream.url.origin}/v1"}}`).join("\n")}
routeiq_settings: {reload: {interval_seconds: 0.5, remote_interval_seconds: 1}}
`;

interface Status {
  readonly reload_count: number;
  readonly last_outcome: string | null;
  readonly last_cause: string | null;
  readonly findings: readonly { readonly line: number; readonly message: string }[];
}

const statusOf = async (url: string) =>
  (await (await fetch(`${url}/config/status`)).json()) as Status;

/** Asks until it holds; the test's own time limit ends it where it never does. */
async function until(url: string, holds: (status: Status) => boolean): Promise<Status> {
  for (;;) {
    const status = await statusOf(url);
    if (holds(status)) return status;
    await Bun.sleep(20);
  }
}

const namesAt = async (url: string) => {
  const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  return data.map(({ id }) => id).filter((id) => id !== "auto");
};

describe("files", () => {
  test("replaced, broken, mended: no call is lost and the last good one serves", async () => {
    const folder = createFolder();
    const path = join(folder.path, "config.yaml");
    const replace = (text: string) => {
      writeFileSync(`${path}.new`, text, { mode: 0o644 });
      renameSync(`${path}.new`, path);
    };
    replace(configOf("one"));
    const gateway = await startGateway({ cwd: folder.path });
    const { url } = gateway;
    const statuses: number[] = [];
    let calling = true;
    const calls = (async () => {
      while (calling) {
        const response = await fetch(`${url}/v1/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: '{"model":"one","messages":[{"role":"user","content":"hi"}]}',
        });
        await response.arrayBuffer();
        statuses.push(response.status);
      }
    })();
    replace(configOf("one", "two"));
    await until(url, ({ reload_count: count }) => count === 1);
    expect(await namesAt(url)).toEqual(["one", "two"]);

    replace(`${configOf("one", "three")}\trouter_settings: {}\n`);
    const refused = await until(url, ({ last_outcome: outcome }) => outcome === "refused");
    expect(refused).toMatchObject({ reload_count: 1, last_cause: "file" });
    expect(refused.findings[0]?.line).toBe(5);
    expect(await namesAt(url)).toEqual(["one", "two"]);
    const ready = (await (await fetch(`${url}/_health/ready`)).json()) as {
      status: string;
      checks: { config: { status: string } };
    };
    expect([ready.status, ready.checks.config.status]).toEqual(["degraded", "degraded"]);

    writeFileSync(path, configOf("one", "three"));
    await until(url, ({ reload_count: count }) => count === 2);
    expect(await namesAt(url)).toEqual(["one", "three"]);
    calling = false;
    await calls;
    expect(statuses.length).toBeGreaterThan(3);
    expect(new Set(statuses)).toEqual(new Set([200]));
    await gateway.stop();
    folder.remove();
  }, 60_000);
});

describe.skipIf(missingS3Server !== undefined)(`a bucket ${missingS3Server ?? ""}`, () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server.stop());

  test("is asked by ETag; without it the copy of what last served starts", async () => {
    const store = createS3ObjectStore({
      url: `s3://${server.bucket}`,
      endpoint: server.endpoint,
      credentials: { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" },
      outbound: createOutbound({}),
      clock: systemClock,
    });
    const put = (text: string) => store.put("prod/config.yaml", new TextEncoder().encode(text));
    await put(configOf("one"));
    const folder = createFolder();
    const env = {
      ...server.env,
      CONFIG_S3_BUCKET: server.bucket,
      CONFIG_S3_KEY: "prod/config.yaml",
    };
    const gateway = await startGateway({ cwd: folder.path, env });
    expect(await namesAt(gateway.url)).toEqual(["one"]);
    await put(configOf("one", "two"));
    const status = await until(gateway.url, ({ reload_count: count }) => count === 1);
    expect(status.last_cause).toBe("bucket");
    expect(await namesAt(gateway.url)).toEqual(["one", "two"]);
    const sync = await (await fetch(`${gateway.url}/config/sync/status`)).json();
    expect(sync).toMatchObject({
      enabled: true,
      s3: { bucket: server.bucket, key: "prod/config.yaml" },
      local_config_path: null,
    });
    await gateway.stop();
    store.close();

    const lost = await startGateway({
      cwd: folder.path,
      env: { ...env, AWS_ENDPOINT_URL_S3: "http://127.0.0.1:9" },
    });
    expect(await namesAt(lost.url)).toEqual(["one", "two"]);
    await lost.stop();
    folder.remove();
  }, 60_000);
});
