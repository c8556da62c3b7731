/**
 * A form (an audio file, pictures) on its way through: read until the model's name is known, then
 * sent on while it still comes. Files are never held whole beyond a limit, the model's name is
 * replaced, and what is meant for the gateway stays here.
 */
import type { Upload } from "../domain/call.ts";
import { excerpt, GatewayError, toGatewayError } from "../domain/errors.ts";
import type { Json, JsonObject } from "../domain/json.ts";
import type { Operation } from "../domain/model.ts";
import { gatewayFields } from "../providers/encode.ts";
import { assertNoDestination } from "../providers/own-access.ts";
import { type FormEvent, FormInvalid, parseForm } from "../std/multipart.ts";

export interface FormSource {
  readonly boundary: string;
  /** @throws GatewayError body_too_large */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface ReadForm {
  /** The fields that were seen so far, as a JSON body would say them. */
  readonly body: JsonObject;
  readonly upload: Upload;
}

/** A form that ends within this is held whole, so that it may be sent again after a failure. */
export const replayLimitBytes = 1024 * 1024;

/** @param modelKnown the path names the model, so that the form need not */
export async function readForm(
  source: FormSource,
  operation: Operation,
  modelKnown: boolean,
): Promise<ReadForm> {
  const events = readSafely(parseForm(source.chunks, source.boundary));
  const form = new FormState(source.boundary);
  const held: FormEvent[] = [];
  let heldBytes = 0;
  // A file may stand before the model's name: then it has to wait here, within the body's limit.
  while (!form.ended && (!(modelKnown || form.has("model")) || heldBytes < replayLimitBytes)) {
    const { value: event } = await events.next();
    if (!event) break;
    form.see(event);
    held.push(event);
    heldBytes += sizeOf(event);
  }
  if (form.ended) form.assertFile(operation);
  return { body: form.body(), upload: createUpload(form, held, events) };
}

/** Every failure as one that a caller can read. */
async function* readSafely(events: AsyncGenerator<FormEvent>): AsyncGenerator<FormEvent> {
  try {
    yield* events;
  } catch (cause) {
    if (!(cause instanceof FormInvalid)) throw cause;
    const message = `The form cannot be read: ${cause.message}.`;
    throw new GatewayError("invalid_request", message, { cause });
  }
}

const sizeOf = (event: FormEvent) =>
  event.kind === "piece"
    ? event.bytes.length
    : event.kind === "field"
      ? event.header.length + event.value.length
      : 256;

const decoder = new TextDecoder();
const modelLimit = 512;

/** What the form has said so far. Mutable; one per form. */
class FormState {
  readonly boundary: string;
  readonly #fields = new Map<string, string>();
  readonly #files = new Set<string>();
  ended = false;

  constructor(boundary: string) {
    this.boundary = boundary;
  }

  has(name: string): boolean {
    return this.#fields.has(name);
  }

  /** @throws GatewayError where a part says what it must not */
  see(event: FormEvent): void {
    if (event.kind === "end") this.ended = true;
    if (event.kind === "file") this.#seeFile(event.name);
    if (event.kind !== "field") return;
    const { name, value } = event;
    // Which of two would count is up to each reader, and a limit on models must not depend on it.
    if (name === "model" && this.has("model")) throw invalid("model", '"model" is given twice.');
    if (name === "model" && (value.length === 0 || value.length > modelLimit)) {
      throw invalid("model", '"model" must be a non-empty string.');
    }
    assertNoDestination({ [name]: "" });
    this.#fields.set(name, decoder.decode(value));
  }

  #seeFile(name: string): void {
    if (name === "model") throw invalid("model", '"model" must be a text, not a file.');
    this.#files.add(name.replace(/\[\d*\]$/, ""));
  }

  assertFile(operation: Operation): void {
    const wanted = operation.startsWith("image_") ? "image" : "file";
    if (this.#files.has(wanted)) return;
    throw invalid(wanted, `The form has no file called "${wanted}".`);
  }

  /** Words that JSON has for truth, numbers and lists are read so; the rest is text. */
  body(): JsonObject {
    return Object.fromEntries([...this.#fields].map(([name, text]) => [name, toJson(name, text)]));
  }
}

function toJson(name: string, text: string): Json {
  if (name === "stream") return text === "true" ? true : text === "false" ? false : text;
  if (name === "n") return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
  if (!gatewayFields.has(name) || !/^[[{tf]/.test(text)) return text;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text; // a text after all
  }
}

function invalid(param: string, message: string): GatewayError {
  return new GatewayError("invalid_request", message, { param });
}

function createUpload(
  form: FormState,
  held: readonly FormEvent[],
  rest: AsyncGenerator<FormEvent>,
): Upload {
  const whole = form.ended;
  let spent = false;
  let failure: GatewayError | undefined;

  async function* read(): AsyncGenerator<FormEvent> {
    yield* held;
    for await (const event of rest) {
      form.see(event);
      yield event;
    }
  }

  async function* send(model: string, defaults: JsonObject): AsyncGenerator<Uint8Array> {
    try {
      spent = true;
      yield* encodeForm(read(), form.boundary, model, defaults);
    } catch (thrown) {
      failure = toFailure(thrown);
      throw failure;
    }
  }

  return {
    contentType: `multipart/form-data; boundary=${quoted(form.boundary)}`,
    get spent() {
      return spent && !whole;
    },
    get failure() {
      return failure;
    },
    open(model, defaults) {
      if (!whole) return send(model, defaults);
      return Buffer.concat([...encodeHeld(held, form.boundary, model, defaults)]);
    },
  };
}

/** What breaks while a form comes is the caller's doing, or his connection's. */
function toFailure(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const cause = toGatewayError(thrown);
  return new GatewayError("invalid_request", "The upload broke off before its end.", { cause });
}

const quoted = (boundary: string) => (/^[\w'()+.-]+$/.test(boundary) ? boundary : `"${boundary}"`);

async function* encodeForm(
  events: AsyncIterable<FormEvent>,
  boundary: string,
  model: string,
  defaults: JsonObject,
): AsyncGenerator<Uint8Array> {
  const encoder = createPartEncoder(boundary, model, defaults);
  for await (const event of events) {
    const bytes = encoder(event);
    if (bytes.length > 0) yield bytes;
  }
}

function* encodeHeld(
  events: readonly FormEvent[],
  boundary: string,
  model: string,
  defaults: JsonObject,
): Generator<Uint8Array> {
  const encoder = createPartEncoder(boundary, model, defaults);
  for (const event of events) yield encoder(event);
}

const text = new TextEncoder();

/** The form's bytes anew, event by event: the model replaced, defaults added at the end. */
function createPartEncoder(boundary: string, model: string, defaults: JsonObject) {
  const seen = new Set<string>();
  let before = "";
  const part = (header: Uint8Array | string, value: Uint8Array | string) => {
    const head = `${before}--${boundary}\r\n`;
    before = "\r\n";
    const [headerBytes, valueBytes] = [header, value].map((each) =>
      typeof each === "string" ? text.encode(each) : each,
    ) as [Uint8Array, Uint8Array];
    return Buffer.concat([text.encode(head), headerBytes, text.encode("\r\n\r\n"), valueBytes]);
  };
  const own = (name: string, value: string) =>
    part(`Content-Disposition: form-data; name="${name}"`, value);
  return (event: FormEvent): Uint8Array => {
    if (event.kind === "piece") return event.bytes;
    if (event.kind === "end") {
      const missing = Object.entries({ ...defaults, model }).filter(([name]) => !seen.has(name));
      const parts = missing.flatMap(([name, value]) =>
        isPlain(value) ? [own(name, String(value))] : [],
      );
      return Buffer.concat([...parts, text.encode(`${before}--${boundary}--\r\n`)]);
    }
    seen.add(event.name);
    if (event.kind === "file") return part(event.header, "");
    if (event.name === "model") return own("model", model);
    return gatewayFields.has(event.name) ? new Uint8Array(0) : part(event.header, event.value);
  };
}

/** A form has no word for objects. */
const isPlain = (value: Json | undefined) =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean";

/** A form where one is due. */
export function noForm(operation: Operation, contentType: string | null): GatewayError {
  const got = contentType === null ? "none came" : `"${excerpt(contentType)}" came`;
  return new GatewayError(
    "unsupported_media_type",
    `${operation} takes a form: send it with \`Content-Type: multipart/form-data\` (${got}).`,
  );
}
