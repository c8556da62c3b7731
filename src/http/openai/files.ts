/** `/v1/files`: uploads as they come, never held whole. */
import { type Files, readExpiry, readPurpose } from "../../resources/files/files.ts";
import { parseForm } from "../../std/multipart.ts";
import type { ByteRange } from "../../storage/blob-store.ts";
import { FileContent, readUntilFile } from "../file-form.ts";
import { openForm, toFormError } from "../form.ts";
import { callerOf, type Route, type RouteContext } from "../route.ts";

const base = {
  who: "caller-or-admin",
  errors: "openai",
} as const satisfies Pick<Route, "who" | "errors">;
const source = "https://platform.openai.com/docs/api-reference/files";

export function fileRoutes(files: Files): readonly Route[] {
  const both = (path: string) => [`/v1${path}`, path];
  const at = (path: string, route: Omit<Route, "path" | "who" | "errors">): readonly Route[] =>
    both(path).map((each) => ({ ...base, path: each, ...route }));
  return [
    ...at("/files", {
      method: "POST",
      summary: "Upload a file: a form with `purpose`, `file` and `expires_after[…]`.",
      docs: { body: "FileUpload", source },
      handle: async (request, context) => Response.json(await upload(request, context, files)),
    }),
    ...at("/files", {
      method: "GET",
      summary: "Your files.",
      docs: {
        source,
        query: {
          purpose: "Of this purpose alone.",
          limit: "How many; 1,000 by default.",
          order: "asc or desc, by creation.",
          after: "The id that the page before ended with.",
        },
      },
      handle: async (request, { services }) =>
        Response.json(
          await files.list(new URL(request.url).searchParams, callerOf(request, services)),
        ),
    }),
    ...at("/files/:id", {
      method: "GET",
      summary: "One file's facts.",
      docs: { source },
      handle: async (request, { services, params }) =>
        Response.json(await files.get(params["id"] ?? "", callerOf(request, services))),
    }),
    ...at("/files/:id", {
      method: "DELETE",
      summary: "Delete a file.",
      docs: { source },
      handle: async (request, { services, params }) =>
        Response.json(await files.remove(params["id"] ?? "", callerOf(request, services))),
    }),
    ...at("/files/:id/content", {
      method: "GET",
      summary: "A file's bytes; `Range` counts.",
      docs: { source, reply: "application/octet-stream" },
      handle: (request, context) => download(request, context, files),
    }),
  ];
}

async function upload(request: Request, { services }: RouteContext, files: Files) {
  const caller = callerOf(request, services);
  const { maxFileBytes } = services.config.routeiq.files;
  const form = openForm(request, services, maxFileBytes + formOverheadBytes);
  const events = parseForm(form.chunks, form.boundary);
  const fields = new Map<string, string>();
  try {
    const filename = await readUntilFile(events, fields, "file");
    const rest = new FileContent(events, fields);
    const told = () => ({
      purpose: readPurpose(fields.get("purpose")),
      ...expiryOf(fields),
    });
    // A purpose that came first is judged before anything is written.
    if (fields.has("purpose")) told();
    return await files.create({
      caller,
      filename,
      content: rest.pieces(),
      told,
      signal: request.signal,
    });
  } catch (cause) {
    throw toFormError(cause);
  } finally {
    await events.return(undefined);
  }
}

const formOverheadBytes = 1024 * 1024;
function expiryOf(fields: ReadonlyMap<string, string>) {
  const seconds = fields.get("expires_after[seconds]");
  const expiresAfterS = readExpiry(fields.get("expires_after[anchor]"), seconds);
  return expiresAfterS === undefined ? {} : { expiresAfterS };
}

async function download(request: Request, { services, params }: RouteContext, files: Files) {
  const range = readRange(request.headers.get("range"));
  const id = params["id"] ?? "";
  const { file, blob } = await files.open(id, callerOf(request, services), range);
  const { sizeBytes, content } = blob;
  const headers = {
    "content-type": "application/octet-stream",
    "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(String(file["filename"]))}`,
    "accept-ranges": "bytes",
    // What somebody uploaded is never a page of this site.
    "x-content-type-options": "nosniff",
  };
  const body = toBody(content);
  if (!range || range.start >= sizeBytes) {
    if (!range)
      return new Response(body, { headers: { ...headers, "content-length": String(sizeBytes) } });
    await body.cancel();
    return new Response(null, {
      status: 416,
      headers: { "content-range": `bytes */${sizeBytes}` },
    });
  }
  const end = Math.min(sizeBytes, range.end ?? sizeBytes);
  return new Response(body, {
    status: 206,
    headers: { ...headers, "content-range": `bytes ${range.start}-${end - 1}/${sizeBytes}` },
  });
}

function toBody(content: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const pieces = content[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return?.();
    },
  });
}

/** One range from a start; any other form is left out, as RFC 9110 §14.2 allows. */
function readRange(header: string | null): ByteRange | undefined {
  const match = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(header ?? "");
  if (!match) return undefined;
  const start = Number(match[1]);
  const end = match[2] === undefined ? undefined : Number(match[2]) + 1;
  if (end !== undefined && end <= start) return undefined;
  return { start, ...(end === undefined ? {} : { end }) };
}
