/** An OpenAPI document as a server: its operations are tools, and calls of them requests of its API. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readOpenapiDocument } from "../../src/agents/openapi/read-document.ts";
import { toApiRequest } from "../../src/agents/openapi/to-request.ts";
import { toTool } from "../../src/agents/openapi/to-tool.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";

const pet = {
  type: "object",
  properties: {
    name: { type: "string" },
    default: { $ref: "#/components/schemas/Tag" },
    parent: { $ref: "#/components/schemas/Pet" },
    age: { type: "integer", nullable: true },
  },
  required: ["name"],
};
const document = {
  openapi: "3.0.3",
  info: { title: "Pets", version: "1" },
  servers: [{ url: "/api" }],
  components: {
    securitySchemes: { key: { type: "apiKey", in: "header", name: "X-Pet-Key" } },
    schemas: { Pet: pet, Tag: { type: "string", enum: ["a", "b"] } },
    parameters: { Page: { name: "page", in: "query", schema: { type: "integer" } } },
  },
  paths: {
    "/pets": {
      parameters: [{ $ref: "#/components/parameters/Page" }],
      get: {
        operationId: "list pets",
        summary: "All pets.",
        parameters: [
          { name: "tags", in: "query", schema: { type: "array", items: { type: "string" } } },
          { name: "where", in: "query", style: "deepObject", schema: { type: "object" } },
          { name: "Authorization", in: "header", schema: { type: "string" } },
          { name: "X-Trace", in: "header", schema: { type: "string" } },
        ],
      },
      post: {
        operationId: "addPet",
        requestBody: {
          required: true,
          content: { "application/json": { schema: { $ref: "#/components/schemas/Pet" } } },
        },
      },
    },
    "/pets/{id}": { get: { parameters: [{ name: "id", in: "path", schema: { type: "string" } }] } },
    "/logo": { get: { operationId: "logo" } },
    "/flood": { get: { operationId: "flood" } },
    "/moved": { get: { operationId: "moved" } },
    "/form": {
      post: {
        operationId: "form",
        requestBody: { content: { "application/x-www-form-urlencoded": { schema: {} } } },
      },
    },
  },
};
const read = readOpenapiDocument(document);
const operation = (name: string) => {
  const found = read.operations.find((each) => each.name === name);
  if (!found) throw new Error(`no operation ${name}`);
  return found;
};

describe("a document", () => {
  test("becomes operations with names that tools may have", () => {
    const names = ["list_pets", "addPet", "get_pets_id", "logo", "flood", "moved", "form"];
    expect(read.operations.map(({ name }) => name)).toEqual(names);
  });

  test("gives schemas that every client can read, and says once where it stands", () => {
    const properties = { any: true, none: false, list: { type: "array", items: true } };
    const schema = { type: "object", properties, additionalProperties: false };
    const odd = readOpenapiDocument({
      openapi: "3.1.0",
      paths: {
        "/odd": {
          post: { requestBody: { content: { "application/json": { schema } } } },
          put: { requestBody: { content: { "text/plain": {} } } },
        },
      },
    });
    const [plain, json] = odd.operations.map((each) => toTool(each, odd));
    expect(json).toMatchObject({ description: "POST /odd" });
    expect(JSON.stringify(json)).toContain(
      '"properties":{"any":{},"none":{"not":{}},"list":{"type":"array","items":{}}},"additionalProperties":false',
    );
    expect(plain?.["inputSchema"]).toMatchObject({ properties: { body: { type: "string" } } });
  });

  test("its schemas lead into $defs, a loop as well, and a property may have any name", () => {
    const { inputSchema } = toTool(operation("addPet"), read);
    expect(inputSchema).toMatchObject({
      required: ["body"],
      properties: { body: { $ref: "#/$defs/Pet" } },
      $defs: {
        Pet: {
          properties: {
            parent: { $ref: "#/$defs/Pet" },
            default: { $ref: "#/$defs/Tag" },
            age: { type: ["integer", "null"] },
          },
        },
        Tag: { enum: ["a", "b"] },
      },
    });
  });

  test.each([
    [{}, "it is no OpenAPI document"],
    [{ openapi: "3.1.0", paths: {} }, "no operations"],
    [[], "no object"],
  ])("%j is none", (root, why) => expect(() => readOpenapiDocument(root)).toThrow(why));

  test("of Swagger 2.0 is read as well", () => {
    const { base, operations } = readOpenapiDocument({
      swagger: "2.0",
      host: "pets.example",
      basePath: "/v2",
      paths: {
        "/pet": {
          post: { parameters: [{ in: "body", name: "pet", schema: { type: "object" } }] },
          get: { parameters: [{ in: "query", name: "ids", type: "array", required: true }] },
        },
      },
    });
    expect(base).toBe("https://pets.example/v2");
    expect(operations.map(({ name }) => name)).toEqual(["get_pet", "post_pet"]);
    expect(operations[1]?.body?.mediaType).toBe("application/json");
  });
});

const requests: readonly (readonly [string, JsonObject, object])[] = [
  [
    "list_pets",
    { page: 2, tags: ["a b", "c"] },
    { url: "https://h/pets?page=2&tags=a%20b&tags=c" },
  ],
  ["list_pets", { where: { a: 1 } }, { url: "https://h/pets?where%5Ba%5D=1" }],
  ["list_pets", { "X-Trace": "t" }, { headers: { "x-trace": "t" } }],
  ["get_pets_id", { id: "a/../b?x" }, { url: "https://h/pets/a%2F..%2Fb%3Fx" }],
  ["addPet", { body: { name: "x" } }, { method: "POST", body: '{"name":"x"}' }],
  ["form", { body: { a: [1, 2], b: "&" } }, { body: "a=1&a=2&b=%26" }],
];
describe("a call", () => {
  test.each(requests)("of %s with %j", (name, args, wanted) => {
    expect(toApiRequest(operation(name), "https://h", args)).toMatchObject(wanted);
  });

  test.each([
    ["get_pets_id", { id: ".." }, "cannot stand in a path"],
    ["get_pets_id", {}, "'id' is missing"],
    ["addPet", {}, "'body' is missing"],
    ["list_pets", { "X-Trace": "a\r\nb" }, "cannot stand in a header"],
  ] as const)("of %s with %j is refused", (name, args, why) => {
    expect(() => toApiRequest(operation(name), "https://h", args)).toThrow(why);
  });
});

const seen: { path: string; key: string | null; auth: string | null }[] = [];
const api = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    const { headers } = request;
    const auth = headers.get("authorization");
    seen.push({ path: pathname + search, key: headers.get("x-pet-key"), auth });
    if (pathname === "/openapi.json") return Response.json(document);
    if (pathname === "/else.json") {
      return Response.json({ ...document, servers: [{ url: "http://169.254.169.254/latest" }] });
    }
    if (pathname === "/api/logo") {
      return new Response(new Uint8Array([1, 2, 3]), { headers: { "content-type": "image/png" } });
    }
    if (pathname === "/api/flood") return new Response("x".repeat(100_000));
    if (pathname === "/api/moved") return Response.redirect("http://169.254.169.254/", 302);
    if (request.method === "POST") return Response.json({ made: await request.json() });
    return pathname === "/api/pets" ? Response.json([1]) : new Response("none", { status: 404 });
  },
});
const origin = `http://127.0.0.1:${api.port}`;
let gateway: TestGateway;
beforeAll(async () => {
  const yaml = `
mcp_servers:
  pets: {openapi: "${origin}/openapi.json", auth_type: api_key, auth_value: k1, disallowed_tools: [form]}
  lure: {spec_path: "${origin}/else.json", auth_type: bearer_token, auth_value: secret}
  bare: {openapi: "${origin}/else.json"}
  gone: {openapi: "${origin}/nothing"}
routeiq_settings: {mcp: {max_result_bytes: 50000}}
`;
  gateway = await startTestGateway({ yaml, outbound: createOutbound() });
});
afterAll(async () => {
  await gateway.gateway.close();
  await api.stop(true);
});

async function ask(server: string, method: string, params: object = {}): Promise<JsonObject> {
  const response = await fetch(`${gateway.gateway.url}/mcp/${server}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  return (await response.json()) as JsonObject;
}
const call = (server: string, name: string, args: object = {}) =>
  ask(server, "tools/call", { name, arguments: args });

describe("through the gateway", () => {
  test("operations are listed, and those that are not allowed are not", async () => {
    const { result } = await ask("pets", "tools/list");
    const { tools } = result as unknown as { tools: { name: string; annotations: object }[] };
    expect(tools.map(({ name }) => name)).not.toContain("form");
    expect(tools.find(({ name }) => name === "list_pets")?.annotations).toMatchObject({
      readOnlyHint: true,
    });
  });

  test("a call carries the key where the document wants it, and leaves a receipt", async () => {
    const { result } = await call("pets", "addPet", { body: { name: "Rex" } });
    expect(result).toMatchObject({
      structuredContent: { made: { name: "Rex" } },
      _meta: { "routeiq/server": "pets", "routeiq/untrusted": true },
    });
    expect(seen.at(-1)).toEqual({ path: "/api/pets", key: "k1", auth: null });
  });

  test.each([
    ["get_pets_id", { id: "1" }, "404: none"],
    ["addPet", { body: { name: 7 } }, "do not fit"],
    ["flood", {}, "over 50000 bytes"],
    ["moved", {}, "a redirect, which is not followed"],
  ])("%s fails in words", async (name, args, words) => {
    const { result } = await call("pets", name, args);
    expect(result).toMatchObject({ isError: true });
    expect(JSON.stringify(result)).toContain(words);
  });

  test("an image is one", async () => {
    const { result } = await call("pets", "logo");
    expect(result).toMatchObject({
      content: [{ type: "image", mimeType: "image/png", data: "AQID" }],
    });
  });

  test("a document that leads elsewhere gets no credentials, nor past the address rule", async () => {
    const lured = await ask("lure", "tools/list");
    expect(JSON.stringify(lured)).toContain("only once you write url beside it");
    const { result } = await call("bare", "list_pets");
    expect(result).toMatchObject({ isError: true });
    expect(seen.filter(({ auth }) => auth !== null).map(({ path }) => path)).toEqual([
      "/else.json",
    ]);
  });

  test("a document that is none is told", async () => {
    expect(JSON.stringify(await ask("gone", "tools/list"))).toContain("answered with 404");
  });

  test("a file is not read for the API", async () => {
    const response = await fetch(`${gateway.gateway.url}/v1/mcp/server`, {
      method: "POST",
      body: JSON.stringify({ server_name: "f", openapi: "/etc/passwd" }),
    });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(404);
  });
});
