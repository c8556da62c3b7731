/**
 * Qdrant, Weaviate and Pinecone as far as the gateway speaks to them, in memory and exact: contract
 * fakes after the products' references, as none of the three can be had here. They read the wire
 * themselves and share nothing with the code they test.
 * https://api.qdrant.tech/api-reference · https://docs.weaviate.io/weaviate/api ·
 * https://docs.pinecone.io/reference/api/2025-10/data-plane
 */
import type { Outbound, OutboundRequest } from "../../src/security/outbound.ts";

type Fields = Record<string, unknown>;
interface Point {
  readonly id: string;
  vector: readonly number[];
  words: readonly number[];
  payload: Fields;
}

export interface FakeDatabase {
  readonly outbound: Outbound;
  readonly seen: readonly OutboundRequest[];
  /** The next requests are answered so instead. */
  failNext(...statuses: number[]): void;
}

type Handle = (method: string, url: URL, body: Fields) => Response;

function serve(handle: Handle): FakeDatabase {
  const seen: OutboundRequest[] = [];
  const failures: number[] = [];
  return {
    seen,
    failNext: (...statuses) => void failures.push(...statuses),
    outbound: {
      async fetch(request) {
        seen.push(request);
        const status = failures.shift();
        if (status !== undefined) return Response.json({ message: "scripted" }, { status });
        const body = typeof request.body === "string" ? JSON.parse(request.body) : {};
        return handle(request.method, new URL(request.url), body);
      },
    },
  };
}

const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, each, i) => sum + each * (b[i] ?? 0), 0);
const cosine = (a: readonly number[], b: readonly number[]) =>
  dot(a, b) / (Math.sqrt(dot(a, a) * dot(b, b)) || 1);
/** Parts of a path that hold dots stand in quotes. */
const pick = (value: unknown, path: string): unknown =>
  (path.match(/"[^"]*"|[^."]+/g) ?? []).reduce<unknown>(
    (held, key) => (held as Fields | undefined)?.[key.replaceAll('"', "")],
    value,
  );

export function createFakeQdrant(): FakeDatabase {
  const collections = new Map<string, { size: number; points: Map<string, Point> }>();

  function holds(condition: Fields, point: Point): boolean {
    const list = (name: string) => condition[name] as Fields[] | undefined;
    if (condition["has_id"]) return (condition["has_id"] as string[]).includes(point.id);
    if (condition["key"]) {
      const held = pick(point.payload, String(condition["key"]));
      const match = condition["match"] as Fields | undefined;
      if (match) {
        // Only texts, whole numbers and booleans are matched.
        return (typeof held !== "number" || Number.isInteger(held)) && held === match["value"];
      }
      const range = condition["range"] as Record<string, number>;
      if (typeof held !== "number") return false;
      const { gt = -Infinity, gte = -Infinity, lt = Infinity, lte = Infinity } = range;
      return held > gt && held >= gte && held < lt && held <= lte;
    }
    const should = list("should");
    return (
      (list("must") ?? []).every((each) => holds(each, point)) &&
      !(list("must_not") ?? []).some((each) => holds(each, point)) &&
      (should === undefined || should.length === 0 || should.some((each) => holds(each, point)))
    );
  }

  return serve((method, url, body) => {
    const [, , encoded = "", ...rest] = url.pathname.split("/");
    const name = decodeURIComponent(encoded);
    const way = `${method} ${rest.join("/")}`.trim();
    const held = collections.get(name);
    const ok = (result: unknown) => Response.json({ result, status: "ok", time: 0 });
    if (way === "PUT") {
      if (held) return Response.json({ status: { error: "already exists" } }, { status: 409 });
      const vectors = body["vectors"] as Record<string, { size: number; distance: string }>;
      const size = vectors["meaning"]?.size ?? 0;
      collections.set(name, { size, points: new Map() });
      return ok(true);
    }
    if (!held) {
      return Response.json({ status: { error: `Collection ${name} not found` } }, { status: 404 });
    }
    const { points } = held;
    const filter = (body["filter"] ?? {}) as Fields;
    const met = () => [...points.values()].filter((point) => holds(filter, point));
    if (way === "GET")
      return ok({ config: { params: { vectors: { meaning: { size: held.size } } } } });
    if (way === "DELETE") return ok(collections.delete(name));
    if (way === "PUT index") return ok({ status: "completed" });
    if (way === "PUT points") {
      for (const each of body["points"] as { id: string; vector: Fields; payload: Fields }[]) {
        if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(each.id)) throw new Error(each.id);
        const words = (each.vector["words"] as { indices: number[] }).indices;
        const vector = each.vector["meaning"] as number[];
        points.set(each.id, { id: each.id, vector, words, payload: each.payload });
      }
      return ok({ status: "completed" });
    }
    if (way === "POST points/delete") {
      for (const { id } of met()) points.delete(id);
      return ok({ status: "completed" });
    }
    if (way === "POST points/payload") {
      for (const point of met()) Object.assign(point.payload, body["payload"]);
      return ok({ status: "completed" });
    }
    if (way === "POST points/count") return ok({ count: met().length });
    if (way === "POST points/scroll") {
      const all = met().sort((a, b) => a.id.localeCompare(b.id));
      const from = all.findIndex(({ id }) => id === body["offset"]);
      const page = all.slice(Math.max(0, from)).slice(0, 3); // small, so that there are several
      const next = all[Math.max(0, from) + 3]?.id ?? null;
      return ok({ points: page, next_page_offset: next });
    }
    if (way === "POST points/query/batch") {
      const answers = (body["searches"] as Fields[]).map((search) => {
        const found = [...points.values()].filter((point) =>
          holds((search["filter"] ?? {}) as Fields, point),
        );
        const rarity = (word: number) => {
          const n = [...points.values()].filter(({ words }) => words.includes(word)).length;
          return Math.log(1 + (points.size - n + 0.5) / (n + 0.5));
        };
        const score = (point: Point) =>
          search["using"] === "meaning"
            ? cosine(search["query"] as number[], point.vector)
            : (search["query"] as { indices: number[] }).indices.reduce(
                (sum, word) => sum + (point.words.includes(word) ? rarity(word) : 0),
                0,
              );
        const scored = found
          .map((point) => ({ id: point.id, payload: point.payload, score: score(point) }))
          .filter((each) => search["using"] === "meaning" || each.score > 0)
          .sort((a, b) => b.score - a.score);
        return { points: scored.slice(0, Number(search["limit"])) };
      });
      return ok(answers);
    }
    throw new Error(`no such way in Qdrant: ${way}`);
  });
}

/** A GraphQL argument list as JSON: names bare, enumerations in capitals bare. */
function readArguments(text: string): Fields {
  const quoted = text.replaceAll(/"(?:[^"\\]|\\.)*"|[A-Za-z_]\w*/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  );
  return JSON.parse(`{${quoted}}`);
}

export function createFakeWeaviate(): FakeDatabase {
  const classes = new Map<string, Map<string, Point>>();

  function holds(condition: Fields, { payload }: Point): boolean {
    const operands = (condition["operands"] ?? []) as Fields[];
    if (condition["operator"] === "And")
      return operands.every((each) => holds(each, { payload } as Point));
    const [name = ""] = condition["path"] as string[];
    const held = payload[name];
    if (condition["operator"] === "Equal")
      return held === (condition["valueText"] ?? condition["valueInt"]);
    if (condition["operator"] === "GreaterThanEqual")
      return Number(held) >= Number(condition["valueInt"]);
    if (condition["operator"] === "ContainsAny") {
      return (condition["valueText"] as unknown[]).includes(held);
    }
    throw new Error(`no such operator in the fake: ${condition["operator"]}`);
  }

  function query(text: string): Response {
    const [, name = "", list = "", fields = ""] =
      /^\{ Get \{ (\w+)\((.*)\) \{ (.*) \} \} \}$/s.exec(text) ?? [];
    if (!/^[A-Z]/.test(name)) throw new Error(`no GraphQL of ours: ${text}`);
    const points = classes.get(name);
    if (!points) {
      const message = `Cannot query field "${name}" on type "GetObjectsObj".`;
      return Response.json({ data: null, errors: [{ message }] });
    }
    const args = readArguments(list);
    const near = args["nearVector"] as { vector: number[] } | undefined;
    const bm25 = args["bm25"] as { query: string } | undefined;
    const split = (value: unknown) =>
      String(value)
        .toLowerCase()
        .match(/[\p{L}\p{N}]+/gu) ?? [];
    const score = ({ vector, payload }: Point) => {
      if (near) return cosine(near.vector, vector);
      if (!bm25) return -Number(payload["passage"]); // an order that `sort` asks for
      const held = new Set(split(payload["text"]));
      return split(bm25.query).filter((word) => held.has(word)).length;
    };
    const rows = [...points.values()]
      .filter((point) => !args["where"] || holds(args["where"] as Fields, point))
      .map((point) => ({ point, score: score(point) }))
      .filter((each) => !bm25 || each.score > 0)
      .sort((a, b) => b.score - a.score)
      .slice(0, Number(args["limit"]))
      .map(({ point, score: found }) => ({
        ...point.payload,
        _additional: { id: point.id, distance: 1 - found, score: String(found) },
      }));
    if (!fields.includes("document") && !fields.includes("passage")) throw new Error("no fields");
    return Response.json({ data: { Get: { [name]: rows } } });
  }

  return serve((method, url, body) => {
    const way = `${method} ${url.pathname}`;
    const schema = /^\/v1\/schema\/(\w+)$/.exec(url.pathname)?.[1];
    if (schema !== undefined && method === "GET") {
      return classes.has(schema)
        ? Response.json({ class: schema })
        : new Response("", { status: 404 });
    }
    if (schema !== undefined && method === "DELETE") {
      return new Response("", { status: classes.delete(schema) ? 200 : 400 });
    }
    if (way === "POST /v1/schema") {
      classes.set(String(body["class"]), new Map());
      return Response.json(body);
    }
    if (way === "POST /v1/graphql") return query(String(body["query"]));
    if (way === "POST /v1/batch/objects") {
      const objects = body["objects"] as {
        class: string;
        id: string;
        properties: Fields;
        vector: number[];
      }[];
      return Response.json(
        objects.map(({ class: name, id, properties, vector }) => {
          const points = classes.get(name) ?? new Map<string, Point>();
          const other = [...points.values()].find((each) => each.vector.length !== vector.length);
          if (other) {
            const message = `new node has a vector with length ${vector.length}. Existing nodes have vectors with length ${other.vector.length}`;
            return { id, result: { status: "FAILED", errors: { error: [{ message }] } } };
          }
          points.set(id, { id, vector, words: [], payload: properties });
          return { id, result: { status: "SUCCESS" } };
        }),
      );
    }
    if (way === "DELETE /v1/batch/objects") {
      const match = body["match"] as { class: string; where: Fields };
      const points = classes.get(match.class);
      if (!points) return Response.json({ error: [{ message: "no class" }] }, { status: 422 });
      const met = [...points.values()].filter((point) => holds(match.where, point));
      const some = met.slice(0, 2); // as if its own limit were that small
      for (const { id } of some) points.delete(id);
      return Response.json({ results: { matches: met.length, successful: some.length } });
    }
    const [, name = "", id = ""] = /^\/v1\/objects\/(\w+)\/([\w-]+)$/.exec(url.pathname) ?? [];
    const point = classes.get(name)?.get(id);
    if (method !== "PATCH" || !point) throw new Error(`no such way in Weaviate: ${way}`);
    Object.assign(point.payload, body["properties"]);
    return new Response(null, { status: 204 });
  });
}

export function createFakePinecone(dimension: number): FakeDatabase {
  const namespaces = new Map<string, Map<string, Point>>();

  function holds(filter: Fields, payload: Fields): boolean {
    return Object.entries(filter).every(([key, condition]) => {
      const list = condition as Fields[];
      if (key === "$and") return list.every((each) => holds(each, payload));
      if (key === "$or") return list.some((each) => holds(each, payload));
      const held = payload[key];
      return Object.entries(condition as Fields).every(([operator, value]) => {
        if (operator === "$exists") return (held !== undefined) === value;
        if (held === undefined) return false;
        if (operator === "$eq") return held === value;
        if (operator === "$ne") return held !== value;
        if (operator === "$in") return (value as unknown[]).includes(held);
        if (operator === "$nin") return !(value as unknown[]).includes(held);
        if (typeof held !== "number" || typeof value !== "number") return false;
        if (operator === "$gt") return held > value;
        if (operator === "$gte") return held >= value;
        if (operator === "$lt") return held < value;
        if (operator === "$lte") return held <= value;
        throw new Error(`no such operator in Pinecone: ${operator}`);
      });
    });
  }

  return serve((method, url, body) => {
    const name = String(body["namespace"] ?? url.searchParams.get("namespace"));
    const points = namespaces.get(name) ?? new Map<string, Point>();
    namespaces.set(name, points);
    const way = `${method} ${url.pathname}`;
    if (way === "POST /vectors/upsert") {
      for (const each of body["vectors"] as { id: string; values: number[]; metadata: Fields }[]) {
        if (each.values.length !== dimension) {
          const message = `Vector dimension ${each.values.length} does not match the dimension of the index ${dimension}`;
          return Response.json({ code: 3, message }, { status: 400 });
        }
        points.set(each.id, {
          id: each.id,
          vector: each.values,
          words: [],
          payload: each.metadata,
        });
      }
      return Response.json({ upsertedCount: (body["vectors"] as unknown[]).length });
    }
    if (way === "GET /vectors/list") {
      const prefix = url.searchParams.get("prefix") ?? "";
      const ids = [...points.keys()].filter((id) => id.startsWith(prefix)).sort();
      const from = Number(url.searchParams.get("paginationToken") ?? 0);
      const next = from + 2 < ids.length ? String(from + 2) : undefined; // pages of two
      const vectors = ids.slice(from, from + 2).map((id) => ({ id }));
      return Response.json({ vectors, ...(next ? { pagination: { next } } : {}) });
    }
    if (way === "GET /vectors/fetch") {
      const found = url.searchParams.getAll("ids").flatMap((id) => points.get(id) ?? []);
      const entries = found.map((point) => [
        point.id,
        { id: point.id, values: point.vector, metadata: point.payload },
      ]);
      return Response.json({ vectors: Object.fromEntries(entries) });
    }
    if (way === "POST /vectors/delete") {
      if (body["deleteAll"]) points.clear();
      for (const id of (body["ids"] ?? []) as string[]) points.delete(id);
      return Response.json({});
    }
    if (way !== "POST /query") throw new Error(`no such way in Pinecone: ${way}`);
    const matches = [...points.values()]
      .filter(({ payload }) => holds((body["filter"] ?? {}) as Fields, payload))
      .map(({ id, vector, payload }) => ({
        id,
        score: cosine(body["vector"] as number[], vector),
        metadata: payload,
      }))
      .sort((a, b) => b.score - a.score)
      .slice(0, Number(body["topK"]));
    return Response.json({ matches, namespace: name });
  });
}
