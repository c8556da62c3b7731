/**
 * Vectors on Weaviate: a class per store, searched by GraphQL's nearVector and bm25. Attributes are
 * anybody's, and a class has its properties by name, so a filter is met here, over the documents'
 * attributes, and asked as a list of documents. Source: https://docs.weaviate.io/weaviate/api
 */
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { meets, type VectorFilter, type VectorHit, type VectorStore } from "../vectors.ts";
import { blendHits, candidatesFor, relativeToBest } from "./blend-hits.ts";
import { passageId } from "./passage-id.ts";
import { type Ask, at, inRequests, listAt } from "./rest.ts";

export interface WeaviateOptions {
  readonly ask: Ask;
  readonly prefix: string;
}

/** Weaviate's own limit of one answer (`QUERY_MAXIMUM_RESULTS`). */
const pageRows = 10_000;

export function createWeaviate({ ask, prefix }: WeaviateOptions): VectorStore {
  /** Names of classes are GraphQL's, and begin with a capital. */
  const classOf = (collection: string) => {
    const name = `${prefix}${collection}`.replaceAll(/[^A-Za-z0-9_]/g, "_");
    return name.charAt(0).toUpperCase() + name.slice(1);
  };

  async function exists(name: string): Promise<boolean> {
    const { status } = await ask({ method: "GET", path: `/v1/schema/${name}`, expects: [404] });
    return status !== 404;
  }

  async function ensure(name: string): Promise<void> {
    if (await exists(name)) return;
    const text = (field: string, tokenization: "field" | "word") => ({
      name: field,
      dataType: ["text"],
      tokenization,
      indexFilterable: field === "document",
      indexSearchable: tokenization === "word",
    });
    const body = {
      class: name,
      vectorizer: "none",
      vectorIndexConfig: { distance: "cosine" },
      properties: [
        text("document", "field"),
        text("text", "word"),
        text("attributes", "field"),
        { name: "passage", dataType: ["int"], indexFilterable: true },
      ],
    };
    // 422: another process came first.
    await ask({ method: "POST", path: "/v1/schema", body, expects: [422] });
  }

  /** The rows of a class; none where there is no class. */
  async function get(name: string, args: string, fields: string): Promise<readonly unknown[]> {
    const query = `{ Get { ${name}(${args}) { ${fields} } } }`;
    const { body } = await ask({ method: "POST", path: "/v1/graphql", body: { query } });
    const [error] = listAt(body, "errors");
    if (error === undefined) return listAt(at(at(body, "data"), "Get"), name);
    if (!(await exists(name))) return [];
    const message = String(at(error, "message") ?? "it refused the question").slice(0, 200);
    throw new GatewayError("storage_failed", `Weaviate failed: ${message}`);
  }

  async function attributesOf(name: string): Promise<ReadonlyMap<string, JsonObject>> {
    const first = where({ path: ["passage"], operator: "Equal", valueInt: 0 });
    const rows = await get(name, `limit: ${pageRows}, ${first}`, "document attributes");
    if (rows.length === pageRows) {
      const message = `Filters on Weaviate reach stores of up to ${pageRows} files.`;
      throw new GatewayError("invalid_request", message, { param: "filters" });
    }
    return new Map(rows.map((row) => [textAt(row, "document"), attributesAt(row)]));
  }

  async function allowed(name: string, filter: VectorFilter): Promise<readonly string[]> {
    const all = await attributesOf(name);
    return [...all].filter(([, held]) => meets(held, filter)).map(([document]) => document);
  }

  async function remove(name: string, condition: JsonObject): Promise<number> {
    let removed = 0;
    for (;;) {
      const match = { class: name, where: condition };
      const path = "/v1/batch/objects";
      const body = { match, output: "minimal" };
      const reply = await ask({ method: "DELETE", path, body, expects: [404, 422] });
      const successful = Number(at(at(reply.body, "results"), "successful") ?? 0);
      const matches = Number(at(at(reply.body, "results"), "matches") ?? 0);
      removed += successful;
      if (successful === 0 || matches <= successful) return removed;
    }
  }

  async function write(name: string, objects: readonly JsonObject[]): Promise<void> {
    const { body } = await ask({ method: "POST", path: "/v1/batch/objects", body: { objects } });
    for (const each of Array.isArray(body) ? body : []) {
      const [error] = listAt(at(at(each, "result"), "errors"), "error");
      if (error === undefined) continue;
      const message = String(at(error, "message") ?? "").slice(0, 200);
      const fault = /dimension|vector length/i.test(message) ? "invalid_request" : "storage_failed";
      throw new GatewayError(fault, `Weaviate refuses a passage of ${name}: ${message}`);
    }
  }

  return {
    isWhole: false,
    async put(collection, { id, attributes, passages }) {
      const name = classOf(collection);
      await ensure(name);
      const shown = JSON.stringify(attributes);
      for (const batch of inRequests(passages)) {
        const objects = batch.map(({ number, text, vector }) => ({
          class: name,
          id: passageId(id, number),
          properties: { document: id, passage: number, text, attributes: shown },
          vector: Array.from(vector),
        }));
        await write(name, objects);
      }
      const rest = { path: ["passage"], operator: "GreaterThanEqual", valueInt: passages.length };
      await remove(name, { operator: "And", operands: [ofDocument(id), rest] });
      return {};
    },
    async setAttributes(collection, document, attributes) {
      const name = classOf(collection);
      const rows = await get(
        name,
        `limit: ${pageRows}, ${where(ofDocument(document))}`,
        "passage _additional { id }",
      );
      const properties = { attributes: JSON.stringify(attributes) };
      for (const row of rows) {
        const id = String(at(at(row, "_additional"), "id"));
        const path = `/v1/objects/${name}/${id}`;
        await ask({ method: "PATCH", path, body: { class: name, properties }, expects: [404] });
      }
    },
    remove: (collection, document) => remove(classOf(collection), ofDocument(document)),
    async drop(collection) {
      const path = `/v1/schema/${classOf(collection)}`;
      await ask({ method: "DELETE", path, expects: [400, 404] });
    },
    async search(collection, query) {
      const name = classOf(collection);
      const { vector, words, filter } = query;
      const documents = filter ? await allowed(name, filter) : undefined;
      if (documents?.length === 0) return [];
      const only = documents
        ? [where({ path: ["document"], operator: "ContainsAny", valueText: documents as Json })]
        : [];
      const limit = `limit: ${candidatesFor(query)}`;
      const fields = "document passage text attributes _additional";
      const nearest = async () => {
        if (!vector) return [];
        const near = `nearVector: { vector: [${Array.from(vector).join(",")}] }`;
        const rows = await get(name, [limit, near, ...only].join(", "), `${fields} { distance }`);
        return rows.map((row) => toHit(row, 1 - Number(at(at(row, "_additional"), "distance"))));
      };
      const worded = async () => {
        if (words === undefined) return [];
        const asked = `bm25: { query: ${JSON.stringify(words)}, properties: ["text"] }`;
        const rows = await get(name, [limit, asked, ...only].join(", "), `${fields} { score }`);
        return rows.map((row) => toHit(row, Number(at(at(row, "_additional"), "score"))));
      };
      const [byMeaning, byWords] = await Promise.all([nearest(), worded()]);
      return blendHits(byMeaning, relativeToBest(byWords), query);
    },
    async read(collection, document) {
      const args = `limit: ${pageRows}, ${where(ofDocument(document))}, sort: [{ path: ["passage"], order: asc }]`;
      const rows = await get(classOf(collection), args, "passage text");
      return rows.map((row) => textAt(row, "text"));
    },
    close: () => Promise.resolve(),
  };
}

const ofDocument = (id: string): JsonObject => ({
  path: ["document"],
  operator: "Equal",
  valueText: id,
});

/** GraphQL's literal of a condition: keys bare, operators as names of an enumeration. */
function where(condition: JsonObject): string {
  const entries = Object.entries(condition).map(([key, value]) =>
    key === "operator" ? `operator: ${value}` : `${key}: ${JSON.stringify(value)}`,
  );
  return `where: { ${entries.join(", ")} }`;
}

const textAt = (row: unknown, key: string) => String(at(row, key) ?? "");

function attributesAt(row: unknown): JsonObject {
  const attributes: unknown = JSON.parse(textAt(row, "attributes") || "{}"); // written by put
  return isObject(attributes) ? attributes : {};
}

const toHit = (row: unknown, score: number): VectorHit => ({
  document: textAt(row, "document"),
  passage: Number(at(row, "passage") ?? 0),
  text: textAt(row, "text"),
  score,
  attributes: attributesAt(row),
});
