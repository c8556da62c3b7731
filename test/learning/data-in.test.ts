/** Where rows come from: tables, Jaeger's service, buckets, segments. What comes in is what was there. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { type StoreAccess, toS3Settings } from "../../src/learning/artifacts/open-repository.ts";
import { openInputs } from "../../src/learning/data/open-inputs.ts";
import { createReadContext, readFile } from "../../src/learning/data/read-rows.ts";
import type { DataRow } from "../../src/learning/data/row.ts";
import { exportOnce } from "../../src/learning/events/event-export.ts";
import { readSource } from "../../src/learning/events/event-source.ts";
import { addEvents } from "../../src/learning/events/from-events.ts";
import { createTableBuilder } from "../../src/learning/table.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createS3ObjectStore } from "../../src/storage/s3/object-store.ts";
import { writeEventFolder } from "../support/event-folder.ts";
import { missingS3Server, startS3Server } from "../support/s3-server.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "routeiq-in-"));
afterAll(() => rmSync(folder, { recursive: true }));
const store: StoreAccess = { outbound: createOutbound(), clock: systemClock, s3: {} };

async function read(address: string, access = store, context = createReadContext()) {
  const rows: DataRow[] = [];
  for await (const input of openInputs([address], { store: access, problems: context.problems })) {
    for await (const row of readFile(await input.open(), context)) rows.push(row);
  }
  return { rows, context };
}

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe("tables", () => {
  test("RouterBench as Parquet, its prompts as literals, the responses unread", async () => {
    const columnData = [
      { name: "sample_id", data: ["a.1", "a.2"] },
      { name: "prompt", data: ["['Is it?\\nA) yes']", "Plain text"] },
      { name: "eval_name", data: ["arc", "arc"] },
      { name: "gpt-4", data: [1, 0.5] },
      { name: "mixtral", data: [0, 1], type: "DOUBLE" as const },
      { name: "gpt-4|model_response", data: ["…", "…"] },
      { name: "gpt-4|total_cost", data: [0.003, 0.004] },
      { name: "oracle_model_to_route_to", data: ["gpt-4", "mixtral"] },
    ];
    const path = write("bench.parquet", new Uint8Array(parquetWriteBuffer({ columnData })));
    const { rows, context } = await read(path);
    expect(context.problems.first).toEqual([]);
    expect(rows.map(({ id, query }) => [id, query])).toEqual([
      ["a.1", "Is it?\nA) yes"],
      ["a.2", "Plain text"],
    ]);
    expect(rows[0]?.outcomes.get("gpt-4")).toEqual({ score: 1, costUsd: 0.003 });
    expect(rows[1]?.outcomes.get("mixtral")).toEqual({ score: 1 });
  });

  test("quotes, line ends within fields, and bad records by their line", async () => {
    const text = `id,query,a,b\n1,"one, ""two""\nthree",1,0\n2,short\n3,"q",2,0\n4,q,,0.5\n`;
    const { rows, context } = await read(write("quotes.csv", text));
    expect(rows.map(({ id }) => id)).toEqual(["1", "4"]);
    expect(rows[0]?.query).toBe('one, "two"\nthree');
    expect([...(rows[1]?.outcomes.keys() ?? [])]).toEqual(["b"]);
    expect(context.problems.first[0]).toMatch(/quotes\.csv:4: 2 fields, but the head has 4/);
    expect(context.problems.first[1]).toMatch(
      /quotes\.csv:5: a\.score must be a number from 0 to 1/,
    );
  });

  test.each(["data.pkl", "data.joblib", "query_embeddings.pt"])("%s is refused", async (name) => {
    expect(read(write(name, "x"))).rejects.toThrow(/may run code/);
  });

  test("a folder gives its files in order, without the prices", async () => {
    const inside = mkdtempSync(join(folder, "inside-"));
    const row = (id: string) => `{"id":"${id}","query":"q","models":{"a":{"score":1}}}\n`;
    for (const name of ["2.jsonl", "1.jsonl"]) writeFileSync(join(inside, name), row(name));
    writeFileSync(join(inside, "models.json"), `{"a":{"input_price":1}}`);
    writeFileSync(join(inside, "README.md"), "no rows");
    const { rows } = await read(inside);
    expect(rows.map(({ id }) => id)).toEqual(["1.jsonl", "2.jsonl"]);
  });
});

/** A span a second, from 0 to 39 seconds; answers hold at most `limit` traces, as Jaeger's do. */
function startJaeger(baseMs: number) {
  const asked: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { searchParams: given, pathname } = new URL(request.url);
      asked.push(`${pathname}?${given.get("service")}`);
      const [start, end] = [Number(given.get("start")), Number(given.get("end"))];
      const data = Array.from({ length: 40 }, (_, at) => (baseMs + at * 1000) * 1000 + 500)
        .filter((us) => us >= start && us < end)
        .slice(0, Number(given.get("limit")))
        .map((us) => ({
          traceID: `t${us}`,
          spans: [
            {
              traceID: `t${us}`,
              spanID: "s1",
              operationName: "chat",
              startTime: us,
              duration: 1000,
              tags: [
                { key: "gen_ai.prompt", type: "string", value: `prompt ${us}` },
                { key: "gen_ai.request.model", type: "string", value: "gpt-4o" },
                { key: "eval.score", type: "float64", value: 0.5 },
              ],
              logs: [],
            },
          ],
        }));
      return Response.json({ data, total: 0, errors: null });
    },
  });
  return { server, asked };
}

test("Jaeger's service: a window that fills the limit is asked for in halves", async () => {
  const baseMs = Date.parse("2026-11-26T00:00:00Z");
  const { server, asked } = startJaeger(baseMs);
  try {
    const range = "start=2026-11-26T00:00:00Z&end=2026-11-26T00:00:40Z&limit=15";
    const { rows } = await read(`http://127.0.0.1:${server.port}?service=litellm-gateway&${range}`);
    expect(new Set(rows.map(({ query }) => query)).size).toBe(40);
    expect(rows).toHaveLength(40);
    expect(asked.length).toBeGreaterThan(2);
    expect(asked[0]).toBe("/api/traces?litellm-gateway");
    expect(read(`http://127.0.0.1:${server.port}`)).rejects.toThrow(/name the service/);
  } finally {
    await server.stop(true);
  }
});

test("the predecessor's decision events: failures count, prompts are missed by name", async () => {
  const payload = (status: string) =>
    JSON.stringify({
      contract_version: "v1",
      selected_deployment: "openai/gpt-4o",
      outcome: { status },
      input: { query_length: 42 },
    });
  const span = (id: string, status: string, prompt?: string) => ({
    traceID: "t",
    spanID: id,
    operationName: "call",
    startTime: 1,
    duration: 1,
    tags: prompt ? [{ key: "gen_ai.prompt", type: "string", value: prompt }] : [],
    logs: [
      {
        timestamp: 1,
        fields: [
          { key: "event", type: "string", value: "routeiq.router_decision.v1" },
          { key: "routeiq.router_decision.payload", type: "string", value: payload(status) },
        ],
      },
    ],
  });
  const spans = [span("1", "success"), span("2", "failure", "why?"), span("3", "success", "how?")];
  const { rows, context } = await read(write("old.json", JSON.stringify({ data: [{ spans }] })));
  expect(rows.map(({ query, label }) => [query, label])).toEqual([["why?", "outcome"]]);
  expect(rows[0]?.outcomes.get("openai/gpt-4o")?.score).toBe(0);
  expect(context.skipped).toEqual({ otherSpans: 0, withoutText: 1, unlabelled: 1 });
});

test("a table of segments is the table of the log", async () => {
  const log = mkdtempSync(join(folder, "log-"));
  await writeEventFolder(log, 300);
  const embedderId = createStaticEmbedder().id;
  const tableOf = async (source: string) => {
    const builder = createTableBuilder();
    const onProblem = (message: string) => {
      throw new Error(message);
    };
    const events = readSource(source, { store, onProblem });
    const counts = await addEvents(builder, { events, embedderId });
    return { counts, table: builder.finish(new Map(), "all") };
  };
  const one = await tableOf(log);
  expect(one.counts.used).toBeGreaterThan(200);
  for (const format of ["parquet", "jsonl"] as const) {
    const to = mkdtempSync(join(folder, "to-"));
    await exportOnce({ source: log, to, format, segmentRows: 110 }, store);
    const two = await tableOf(to);
    expect(two.counts).toEqual(one.counts);
    expect(two.table.sha256).toBe(one.table.sha256);
    expect(two.table.report).toEqual(one.table.report);
  }
});

describe.skipIf(missingS3Server !== undefined)("a bucket", () => {
  test("every object under a prefix, or one by name", async () => {
    const server = await startS3Server();
    try {
      const s3: StoreAccess = { ...store, s3: toS3Settings(server.env) };
      const bucket = createS3ObjectStore({ url: `s3://${server.bucket}/rows`, ...s3, ...s3.s3 });
      const row = (id: number) => `{"id":"${id}","query":"q","models":{"a":{"score":1}}}\n`;
      for (let part = 0; part < 12; part++) {
        const bytes = new Uint8Array(Bun.gzipSync(row(part)));
        await bucket.put(`dt=2026-11-26/part-${10 + part}.jsonl.gz`, bytes);
      }
      bucket.close();
      const all = await read(`s3://${server.bucket}/rows`, s3);
      expect(all.rows.map(({ id }) => Number(id))).toEqual(Array.from({ length: 12 }, (_, n) => n));
      const one = await read(`s3://${server.bucket}/rows/dt=2026-11-26/part-13.jsonl.gz`, s3);
      expect(one.rows.map(({ id }) => id)).toEqual(["3"]);
    } finally {
      await server.stop();
    }
  });
});
