/**
 * Every fixture of a provider's or a caller's wire, translated into every dialect, beside what it was
 * when somebody last looked: `expected/<provider>/<case>.json`. After a wanted change:
 * `GOLDEN=write bun test test/golden`, and read the difference.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";
import type { Dialect, ProviderDialect } from "../../src/dialects/dialect.ts";
import { dialects, providerDialects } from "../../src/dialects/registry.ts";
import { GatewayError } from "../../src/domain/errors.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { SseFrame } from "../../src/std/sse.ts";
import { bytesOf, dialectOf, framesIn, type StreamWire } from "../support/fixtures.ts";

interface Fixture {
  readonly source: string;
  readonly kind: "request" | "reply" | "stream";
  /** Names that a request is encoded for; behaviour differs by model. */
  readonly models?: readonly string[];
  /** A body, or the lines of a stream. */
  readonly wire: JsonObject | StreamWire;
}

const folder = join(import.meta.dir, "..", "fixtures");
const names = [...new Glob("*/{request,reply,stream}-*.json").scanSync(folder)].sort();
const all = Object.values(dialects);
/** What a request is written in; callers speak the first of them alone. */
const written: readonly ProviderDialect[] = [...all, ...Object.values(providerDialects)];
const context = { createdS: 1_700_000_000, callId: "call-1", model: "m" };

describe.each(names)("%s", (name) => {
  test("is what it was", async () => {
    const fixture: Fixture = await Bun.file(join(folder, name)).json();
    expect(fixture.source).not.toBeEmpty();
    const found = await translate(fixture, dialectOf(name));
    const path = join(import.meta.dir, "expected", name);
    if (process.env["GOLDEN"] === "write")
      await Bun.write(path, `${JSON.stringify(found, null, 2)}\n`);
    expect(JSON.parse(JSON.stringify(found))).toEqual(await Bun.file(path).json());
  });
});

async function translate(
  { kind, wire, models }: Fixture,
  from: ProviderDialect,
): Promise<JsonObject> {
  if (Array.isArray(wire)) return translateStream(wire as StreamWire, from);
  const body = wire as JsonObject;
  return kind === "request"
    ? translateRequest(body, from as Dialect, models)
    : translateReply(body, from);
}

/** An error is a result like any other. */
function attempt(work: () => JsonObject): JsonObject {
  try {
    return work();
  } catch (thrown) {
    return { error: toPlain(thrown) };
  }
}

function toPlain(thrown: unknown): JsonObject {
  if (!(thrown instanceof GatewayError)) throw thrown;
  const { code, status, message, param, wireCode } = thrown;
  return {
    code,
    status,
    message,
    ...(param ? { param } : {}),
    ...(wireCode === code ? {} : { wireCode }),
  };
}

function translateRequest(body: JsonObject, from: Dialect, models?: readonly string[]): JsonObject {
  const refused = attempt(() => {
    from.decodeRequest(body);
    return {};
  });
  if (refused["error"]) return refused;
  const request = from.decodeRequest(body);
  const targets: Readonly<Record<string, readonly string[]>> = {
    ollama: ["gpt-oss:20b"],
    cohere: ["command-a-reasoning-08-2025"],
    "bedrock-converse": ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0"],
    anthropic: models ?? ["claude-sonnet-4-5"],
    "openai-chat": ["gpt-5-mini", "gpt-4o-mini"],
    gemini: ["gemini-2.5-flash", "gemini-3-pro-preview"],
    "openai-responses": ["gpt-5-mini"],
  };
  const pairs = written.flatMap((to) =>
    (targets[to.name] ?? ["some-model"]).map((model) => [
      `${to.name} ${model}`,
      attempt(() => to.encodeRequest(request, model)),
    ]),
  );
  const dropped = attempt(() =>
    dialects.anthropic.encodeRequest(request, "claude-opus-5-5", { dropParams: true }),
  );
  const droppedByGemini = attempt(() =>
    dialects.gemini.encodeRequest(request, "gemini-2.5-pro", { dropParams: true }),
  );
  return {
    ...Object.fromEntries(pairs),
    "anthropic claude-opus-5-5, dropParams": dropped,
    "gemini gemini-2.5-pro, dropParams": droppedByGemini,
  };
}

function translateReply(body: JsonObject, from: ProviderDialect): JsonObject {
  const out = all.map((to) => [
    to.name,
    attempt(() => to.encodeReply(from.decodeReply(body, context))),
  ]);
  const facts = { usage: from.usageOf(body), finishReason: from.finishReasonOf(body) };
  return { ...Object.fromEntries(out), facts: JSON.parse(JSON.stringify(facts)) };
}

async function translateStream(wire: StreamWire, from: ProviderDialect): Promise<JsonObject> {
  const bytes = bytesOf(wire);
  const frames = await framesIn(bytes, from, 1 << 20);
  const out: Record<string, string[]> = {};
  for (const to of all) out[to.name] = await encodeAll(frames, from, to);
  // However the bytes arrive, and whatever the line ends, the outcome is the same.
  for (const variant of variantsOf(bytes, from)) {
    for (const size of [1, 7]) {
      const pieces = await framesIn(variant, from, size);
      for (const to of all) {
        expect(await encodeAll(pieces, from, to)).toEqual(out[to.name] ?? []);
      }
    }
  }
  return { ...out, ...watched(frames, from) };
}

function variantsOf(bytes: Uint8Array, { framing }: ProviderDialect): Uint8Array[] {
  if (framing) return [bytes];
  const text = new TextDecoder().decode(bytes);
  return [bytes, ...["\r\n", "\r"].map((end) => Buffer.from(text.replaceAll("\n", end)))];
}

/** What passing frames tell; those that no caller speaks never pass. */
function watched(frames: readonly SseFrame[], from: ProviderDialect): JsonObject {
  const watch = from.createStreamWatch?.();
  if (!watch) return {};
  const seen = frames.map((frame) => {
    const { error, ...flags } = watchFrame(watch, frame);
    const set = Object.entries(flags).filter(([, value]) => value === true);
    return [...set.map(([flag]) => flag), ...(error ? [error] : [])].join(" ");
  });
  return { watch: { seen, end: JSON.parse(JSON.stringify(watch.end())) } };
}

function watchFrame(watch: ReturnType<Dialect["createStreamWatch"]>, frame: SseFrame) {
  try {
    const { error, ...flags } = watch.see(frame);
    return { ...flags, error: error?.code };
  } catch (thrown) {
    return { error: String(toPlain(thrown)["code"]) };
  }
}

async function encodeAll(
  frames: readonly SseFrame[],
  from: ProviderDialect,
  to: Dialect,
): Promise<string[]> {
  async function* each() {
    yield* frames;
  }
  const request = {
    model: "auto",
    messages: [{ role: "user" as const, content: "hi" }],
    stream_options: { include_usage: true },
  };
  const parts: string[] = [];
  try {
    const chunks = from.decodeStream(each(), context);
    for await (const part of to.encodeStream(chunks, request)) parts.push(part);
  } catch (thrown) {
    parts.push(JSON.stringify(toPlain(thrown)));
  }
  return parts.join("").split("\n");
}
