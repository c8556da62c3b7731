/** The recorded wires of test/fixtures: whose dialect they are in, and their streams as frames. */
import type { ProviderDialect } from "../../src/dialects/dialect.ts";
import { dialects, providerDialects } from "../../src/dialects/registry.ts";
import { createSseParser, type SseFrame } from "../../src/std/sse.ts";
import { eventStream } from "./aws-server.ts";

/** Lines of text; for AWS's binary framing, pairs of an event's name and body. */
export type StreamWire = readonly (string | readonly [string, object])[];

const byFolder: Readonly<Record<string, ProviderDialect>> = { ...dialects, ...providerDialects };

/** @param name `<folder>/<case>.json` */
export function dialectOf(name: string): ProviderDialect {
  return byFolder[name.split("/")[0] ?? ""] ?? dialects["openai-chat"];
}

export function bytesOf(wire: StreamWire): Uint8Array {
  const pairs = wire.filter((each): each is readonly [string, object] => typeof each !== "string");
  return pairs.length > 0 ? eventStream(pairs) : Buffer.from(`${wire.join("\n")}\n`);
}

/** The frames of a stream that arrives in chunks of so many bytes. */
export async function framesIn(
  bytes: Uint8Array,
  { framing }: ProviderDialect,
  size: number,
): Promise<SseFrame[]> {
  const parser = framing ? await framing.createParser() : createSseParser();
  const frames: SseFrame[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    frames.push(...parser.push(bytes.slice(at, at + size)));
  }
  return [...frames, ...parser.end()];
}
