/** A form with one file, read as it comes: its fields, the file's pieces, what stands after them. */
import { GatewayError } from "../domain/errors.ts";
import { type FormEvent, filenameOf } from "../std/multipart.ts";

const decoder = new TextDecoder();

/** The file's name; the fields before it are kept. */
export async function readUntilFile(
  events: AsyncGenerator<FormEvent>,
  fields: Map<string, string>,
  name: string,
): Promise<string> {
  for (;;) {
    const { value: event } = await events.next();
    if (event?.kind === "field") fields.set(event.name, decoder.decode(event.value));
    else if (event?.kind === "file" && event.name === name) return filenameOf(event.header);
    else if (event?.kind === "file")
      throw invalid(`the file "${event.name.slice(0, 50)}" has no use`);
    else throw invalid(`it has no part named '${name}' with a filename`);
  }
}

function invalid(why: string): GatewayError {
  return new GatewayError("invalid_request", `The form cannot be read: ${why}.`, { param: "file" });
}

/** The file's pieces, and then what stands after it in the form. */
export class FileContent {
  readonly #events: AsyncGenerator<FormEvent>;
  readonly #fields: Map<string, string>;

  constructor(events: AsyncGenerator<FormEvent>, fields: Map<string, string>) {
    this.#events = events;
    this.#fields = fields;
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const { value: event } = await this.#events.next();
      if (event?.kind === "piece") yield event.bytes;
      else if (event?.kind === "field") this.#fields.set(event.name, decoder.decode(event.value));
      else if (event?.kind === "file") throw invalid("it has more than one file");
      else return;
    }
  }
}
