/** `/v1/uploads`: large files in parts. */
import { type Uploads, uploadLimits } from "../../resources/uploads/uploads.ts";
import { parseForm } from "../../std/multipart.ts";
import { FileContent, readUntilFile } from "../file-form.ts";
import { openForm, toFormError } from "../form.ts";
import { callerOf, type Route, type RouteContext } from "../route.ts";
import { storedRoutes } from "../stored-routes.ts";

const source = "https://platform.openai.com/docs/api-reference/uploads";

export function uploadRoutes(uploads: Uploads): readonly Route[] {
  return [
    ...storedRoutes(source, [
      [
        "POST",
        "/uploads",
        "Begin an upload: `{filename, purpose, bytes, mime_type}`.",
        ({ body, caller }) => uploads.create(body, caller),
      ],
      [
        "POST",
        "/uploads/:id/complete",
        "Make the file of the parts: `{part_ids, md5?}`.",
        ({ at, body, caller }) => uploads.complete(at("id"), body, caller),
      ],
      [
        "POST",
        "/uploads/:id/cancel",
        "End an upload without a file.",
        ({ at, caller }) => uploads.cancel(at("id"), caller),
      ],
    ]),
    ...["/v1/uploads/:id/parts", "/uploads/:id/parts"].map(
      (path): Route => ({
        method: "POST",
        path,
        who: "caller-or-admin",
        errors: "openai",
        summary: "Add a part: a form with `data`, at most 64 MiB.",
        docs: { source, body: "UploadPart" },
        handle: async (request, context) => Response.json(await addPart(request, context, uploads)),
      }),
    ),
  ];
}

const formOverheadBytes = 64 * 1024;

async function addPart(request: Request, { services, params }: RouteContext, uploads: Uploads) {
  const caller = callerOf(request, services);
  const form = openForm(request, services, uploadLimits.partBytes + formOverheadBytes);
  const events = parseForm(form.chunks, form.boundary);
  const fields = new Map<string, string>();
  try {
    await readUntilFile(events, fields, "data");
    const content = new FileContent(events, fields).pieces();
    return await uploads.addPart(params["id"] ?? "", { caller, content, signal: request.signal });
  } catch (cause) {
    throw toFormError(cause);
  } finally {
    await events.return(undefined);
  }
}
