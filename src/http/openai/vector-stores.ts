/** `/v1/vector_stores` and what lies in them. */
import type { VectorStores } from "../../resources/vector-stores/vector-stores.ts";
import type { Route } from "../route.ts";
import { type StoredRoute, storedRoutes } from "../stored-routes.ts";

const source = "https://platform.openai.com/docs/api-reference/vector-stores";
const base = "/vector_stores";

export function vectorStoreRoutes(stores: VectorStores): readonly Route[] {
  const { files, batches } = stores;
  const rows: readonly StoredRoute[] = [
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
  return storedRoutes(
    source,
    rows.map(([method, path, ...rest]) => [method, `${base}${path}`, ...rest]),
  );
}
