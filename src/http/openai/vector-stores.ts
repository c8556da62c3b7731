/** `/v1/vector_stores` and what lies in them. */
import type { Caller } from "../../domain/call.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { VectorStores } from "../../resources/vector-stores/vector-stores.ts";
import { readJsonObject } from "../json-body.ts";
import { callerOf, type Route, type RouteContext } from "../route.ts";

const source = "https://platform.openai.com/docs/api-reference/vector-stores";
const bodyLimitBytes = 1024 * 1024;

interface Asked {
  readonly caller: Caller;
  readonly body: JsonObject;
  readonly query: URLSearchParams;
  readonly at: (name: string) => string;
}

type Answer = (asked: Asked) => Promise<JsonObject>;

export function vectorStoreRoutes(stores: VectorStores): readonly Route[] {
  const { files, batches } = stores;
  const routes: readonly (readonly [Route["method"], string, string, Answer])[] = [
    [
      "POST",
      "",
      "Make a vector store, with files or without; `embedding_model` names a model of the gateway in place of the built-in embedder.",
      (it) => stores.create(it.body, it.caller),
    ],
    ["GET", "", "Your vector stores.", (it) => stores.list(it.query, it.caller)],
    ["GET", "/:store", "A vector store.", (it) => stores.get(it.at("store"), it.caller)],
    [
      "POST",
      "/:store",
      "Change a vector store.",
      (it) => stores.change(it.at("store"), it.body, it.caller),
    ],
    [
      "DELETE",
      "/:store",
      "Delete a vector store; its files stay.",
      (it) => stores.remove(it.at("store"), it.caller),
    ],
    [
      "POST",
      "/:store/search",
      "Passages by meaning and by words, filtered by attributes.",
      (it) => stores.search(it.at("store"), it.body, it.caller),
    ],
    [
      "POST",
      "/:store/files",
      "Put a file into a store.",
      (it) => files.add(it.at("store"), it.body, it.caller),
    ],
    [
      "GET",
      "/:store/files",
      "A store's files; `filter` by status.",
      (it) => files.list(it.at("store"), it.query, it.caller),
    ],
    [
      "GET",
      "/:store/files/:file",
      "How a file in a store stands.",
      (it) => files.get(it.at("store"), it.at("file"), it.caller),
    ],
    [
      "POST",
      "/:store/files/:file",
      "Change a file's attributes.",
      (it) => files.change(it.at("store"), it.at("file"), it.body, it.caller),
    ],
    [
      "DELETE",
      "/:store/files/:file",
      "Take a file out of a store.",
      (it) => files.remove(it.at("store"), it.at("file"), it.caller),
    ],
    [
      "GET",
      "/:store/files/:file/content",
      "A file's passages.",
      (it) => files.content(it.at("store"), it.at("file"), it.caller),
    ],
    [
      "POST",
      "/:store/file_batches",
      "Put several files into a store.",
      (it) => batches.add(it.at("store"), it.body, it.caller),
    ],
    [
      "GET",
      "/:store/file_batches/:batch",
      "How a batch of files stands.",
      (it) => batches.get(it.at("store"), it.at("batch"), it.caller),
    ],
    [
      "POST",
      "/:store/file_batches/:batch/cancel",
      "Stop a batch of files.",
      (it) => batches.cancel(it.at("store"), it.at("batch"), it.caller),
    ],
    [
      "GET",
      "/:store/file_batches/:batch/files",
      "A batch's files.",
      (it) => batches.files(it.at("store"), it.at("batch"), it.query, it.caller),
    ],
  ];
  return routes.flatMap(([method, path, summary, handle]) =>
    ["/v1/vector_stores", "/vector_stores"].map(
      (base): Route => ({
        method,
        path: `${base}${path}`,
        who: "caller-or-admin",
        errors: "openai",
        summary,
        docs: { source },
        handle: (request, context) => run(request, context, handle),
      }),
    ),
  );
}

async function run(
  request: Request,
  { services, params }: RouteContext,
  handle: Answer,
): Promise<Response> {
  const caller = callerOf(request, services);
  const hasBody = request.method === "POST" && request.headers.get("content-length") !== "0";
  const body =
    hasBody && request.body ? await readJsonObject(request, services, bodyLimitBytes) : {};
  const query = new URL(request.url).searchParams;
  return Response.json(await handle({ caller, body, query, at: (name) => params[name] ?? "" }));
}
