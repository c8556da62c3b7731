/** Bindings, errors, revisions, cards: §3.3, §3.6, §5.4, §8, §9 and §11 of the specification. */
import {
  type Check,
  completed,
  events,
  expect,
  expectError,
  Skipped,
  says,
  succeed,
  uniqueId,
} from "./check.ts";
import { type Body, call, post, type Surface } from "./wire.ts";

const isRpc = ({ binding }: Surface) => binding === "JSONRPC";
const sendMethod = ({ version }: Surface) => (version === "1.0" ? "SendMessage" : "message/send");

function toBody(surface: Surface, message: Body): { readonly body: Body; readonly path: string } {
  if (isRpc(surface)) {
    return {
      path: "",
      body: { jsonrpc: "2.0", id: 1, method: sendMethod(surface), params: { message } },
    };
  }
  return {
    path: surface.version === "1.0" ? "/message:send" : "/v1/message:send",
    body: { message },
  };
}

/** By hand, with header fields of its own; the message is one that every form can read. */
async function sendWith(surface: Surface, headers: Body) {
  const given = says("complete-task");
  const older = { kind: "message", ...given, role: "user", parts: [{ kind: "text", text: "x" }] };
  const isOlderRest = surface.version === "0.3" && !isRpc(surface);
  const { parts, ...facts } = given;
  const message = isOlderRest
    ? { ...facts, content: parts }
    : surface.version === "1.0"
      ? given
      : older;
  const { body, path } = toBody(surface, message);
  return post(surface, body, headers, path);
}

const versions: Check[] = [
  {
    ...{ id: "VER-SERVER-001", level: "MUST" },
    run: async (surface) =>
      void (await succeed(sendWith(surface, { "a2a-version": surface.version }))),
  },
  {
    ...{ id: "VER-SERVER-002", level: "MUST", version: "1.0" },
    run: async (surface) =>
      expectError(
        await sendWith(surface, { "a2a-version": "99.0" }),
        "versionNotSupported",
        surface,
      ),
  },
  {
    ...{ id: "VER-SERVER-003", level: "MUST", version: "0.3" },
    run: async (surface) => void (await succeed(sendWith(surface, { "a2a-version": "" }))),
  },
  {
    ...{ id: "VER-CLIENT-002", level: "MUST" },
    run: async (surface) =>
      void (await succeed(sendWith(surface, { "a2a-version": `${surface.version}.7` }))),
  },
];

const rpcErrors: Check[] = (
  [
    ["no JSON", "{", -32700],
    [
      "another version",
      (method: string) => ({ jsonrpc: "1.0", id: 1, method, params: {} }),
      -32600,
    ],
    ["no method", () => ({ jsonrpc: "2.0", id: 1, params: {} }), -32600],
    [
      "an id that is an object",
      (method: string) => ({ jsonrpc: "2.0", id: {}, method, params: {} }),
      -32600,
    ],
    [
      "a method that is none",
      () => ({ jsonrpc: "2.0", id: 1, method: "NonExistentMethod", params: {} }),
      -32601,
    ],
    [
      "params that are a list",
      (method: string) => ({ jsonrpc: "2.0", id: 1, method, params: [] }),
      -32602,
    ],
    ["no message", (method: string) => ({ jsonrpc: "2.0", id: 1, method, params: {} }), -32602],
    [
      "parts that are a text",
      (method: string) => ({ jsonrpc: "2.0", id: 1, method, params: { message: { parts: "x" } } }),
      -32602,
    ],
  ] as const
).map(([name, body, code]) => ({
  ...{ id: `JSONRPC-ERR-001 ${name}`, level: "MUST" as const, binding: "JSONRPC" as const },
  async run(surface) {
    const {
      error,
      status,
      body: answer,
    } = await post(surface, typeof body === "string" ? body : body(sendMethod(surface)));
    expect(error?.code === code, `code ${error?.code} (HTTP ${status}), not ${code}`);
    expect(
      typeof answer.error.message === "string" && answer.jsonrpc === "2.0",
      JSON.stringify(answer),
    );
  },
}));

const rpcForm: Check[] = (
  [
    {
      ...{ id: "JSONRPC-FMT-001", level: "MUST" },
      async run(surface) {
        const { body } = await sendWith(surface, {});
        expect(body.jsonrpc === "2.0" && body.id === 1 && "result" in body, JSON.stringify(body));
      },
    },
    {
      ...{ id: "JSONRPC-FMT-002", level: "MUST" },
      async run(surface) {
        const { headers } = await sendWith(surface, {});
        expect(
          headers.get("content-type")?.includes("application/json"),
          headers.get("content-type") ?? "none",
        );
      },
    },
    {
      ...{ id: "JSONRPC-ERR-id", level: "MUST" },
      async run(surface) {
        const method = surface.version === "1.0" ? "GetTask" : "tasks/get";
        const { body } = await post(surface, {
          jsonrpc: "2.0",
          id: "an id",
          method,
          params: { id: "nowhere" },
        });
        expect(body.id === "an id" && body.error?.code === -32001, JSON.stringify(body));
      },
    },
    {
      ...{ id: "JSONRPC-SSE-001", level: "MUST" },
      async run(surface) {
        const stream = await events(surface, "stream", { message: says("stream-001") });
        expect(
          stream.headers.get("content-type")?.includes("text/event-stream"),
          "no event stream",
        );
        for await (const _ of stream);
        for (const event of stream.raw) {
          expect(
            event.jsonrpc === "2.0" && "id" in event && ("result" in event || "error" in event),
            JSON.stringify(event),
          );
        }
      },
    },
    {
      ...{ id: "JSONRPC-ERR-003", level: "MUST", version: "1.0" },
      async run(surface) {
        const { body } = await call(surface, "get", { id: uniqueId("nowhere") });
        const [info] = body.error.data ?? [];
        expect(
          info?.["@type"] === "type.googleapis.com/google.rpc.ErrorInfo",
          JSON.stringify(body.error.data),
        );
        expect(
          info.reason === "TASK_NOT_FOUND" && info.domain === "a2a-protocol.org",
          JSON.stringify(info),
        );
        expect(
          Object.keys(body.error).every((key) => ["code", "message", "data"].includes(key)),
          "more than it may have",
        );
      },
    },
  ] as const satisfies Omit<Check, "binding">[]
).map((check) => ({ ...check, binding: "JSONRPC" as const }));

const restForm: Check[] = (
  [
    {
      ...{ id: "HTTP_JSON-SVC-001", level: "SHOULD", version: "1.0" },
      async run(surface) {
        const type = (await sendWith(surface, {})).headers.get("content-type");
        expect(type?.startsWith("application/a2a+json"), String(type));
      },
    },
    {
      ...{ id: "HTTP_JSON-SSE-001", level: "MUST" },
      async run(surface) {
        const stream = await events(surface, "stream", { message: says("stream-001") });
        expect(
          stream.headers.get("content-type")?.includes("text/event-stream"),
          "no event stream",
        );
        for await (const _ of stream);
        expect(
          stream.raw.every((event) => !("jsonrpc" in event)),
          "wrapped as JSON-RPC",
        );
      },
    },
    {
      ...{ id: "HTTP_JSON-ERR-001", level: "MUST", version: "1.0" },
      async run(surface) {
        const { body, status } = await call(surface, "get", { id: uniqueId("nowhere") });
        const { error } = body;
        expect(error?.code === status && typeof error.message === "string", JSON.stringify(body));
        expect(error.status === "NOT_FOUND", error.status);
      },
    },
    {
      ...{ id: "HTTP_JSON-ERR-001 type", level: "MUST", version: "1.0" },
      async run(surface) {
        const { headers } = await call(surface, "get", { id: uniqueId("nowhere") });
        const type = headers.get("content-type");
        expect(type?.includes("application/json"), String(type));
      },
    },
    {
      ...{ id: "HTTP_JSON-ERR-002", level: "MUST", version: "1.0" },
      async run(surface) {
        const { body } = await call(surface, "get", { id: uniqueId("nowhere") });
        const info = body.error.details?.find((each: Body) =>
          each["@type"]?.endsWith("google.rpc.ErrorInfo"),
        );
        expect(
          info?.reason === "TASK_NOT_FOUND" && info.domain === "a2a-protocol.org",
          JSON.stringify(body.error.details),
        );
      },
    },
    {
      ...{ id: "HTTP_JSON-ERR-empty", level: "MUST" },
      async run(surface) {
        const { status } = await post(surface, {}, {}, toBody(surface, {}).path);
        expect(status >= 400 && status < 500, `HTTP ${status}`);
      },
    },
    {
      ...{ id: "HTTP_JSON-ERR-path", level: "SHOULD" },
      async run(surface) {
        const { status } = await post(surface, {}, {}, "/no:such");
        expect(status === 404, `HTTP ${status}`);
      },
    },
    {
      ...{ id: "HTTP_JSON-URL-subscribe", level: "MUST", version: "1.0" },
      async run(surface, { begin }) {
        const { taskId, finish } = await begin(surface);
        const response = await fetch(`${surface.url}/tasks/${taskId}:subscribe`, {
          headers: { "a2a-version": surface.version, ...surface.headers },
        });
        const type = response.headers.get("content-type");
        await response.body?.cancel();
        await finish();
        expect(type?.includes("text/event-stream"), String(type));
      },
    },
  ] as const satisfies Omit<Check, "binding">[]
).map((check) => ({ ...check, binding: "HTTP+JSON" as const }));

const services: Check[] = [
  {
    ...{ id: "SVC-002 extensions", level: "MUST" },
    async run(surface) {
      const headers = { "a2a-extensions": "https://example.com/ext/v1,https://example.com/ext/v2" };
      await succeed(sendWith(surface, headers));
    },
  },
  {
    ...{ id: "CONTENT-TYPE text", level: "MUST", version: "1.0" },
    async run(surface) {
      const answer = await sendWith(surface, { "content-type": "text/plain" });
      if (!answer.error) throw new Skipped("it is read all the same");
      expectError(answer, "contentTypeNotSupported", surface);
    },
  },
  {
    ...{ id: "CONTENT-TYPE a2a+json", level: "MUST", version: "1.0", binding: "HTTP+JSON" },
    run: async (surface) =>
      void (await succeed(sendWith(surface, { "content-type": "application/a2a+json" }))),
  },
  {
    ...{ id: "CORE-ERR-002", level: "MUST" },
    async run(surface) {
      const message = says("x", { parts: [] });
      const { error } = await call(surface, "send", { message });
      expect(error, "a message without parts was taken");
    },
  },
  {
    ...{ id: "CORE-ERR-002 messageId", level: "MUST" },
    async run(surface) {
      const { messageId: _, ...message } = says("x");
      expectError(await call(surface, "send", { message }), "invalidParams", surface);
    },
  },
];

async function cardOf({ cardUrl, version }: Surface, headers: Body = {}): Promise<Response> {
  return fetch(cardUrl, { headers: { "a2a-version": version, ...headers } });
}

const cards: Check[] = [
  {
    ...{ id: "CARD-STRUCT-001", level: "MUST" },
    async run(surface) {
      const card: Body = await (await cardOf(surface)).json();
      const needed = [
        "name",
        "description",
        "version",
        "capabilities",
        "defaultInputModes",
        "defaultOutputModes",
        "skills",
      ];
      const more =
        surface.version === "1.0"
          ? ["supportedInterfaces"]
          : ["url", "protocolVersion", "preferredTransport"];
      const missing = [...needed, ...more].filter((field) => card[field] === undefined);
      expect(missing.length === 0, `missing: ${missing.join(", ")}`);
      expect(card.skills.length > 0, "no skills");
      for (const skill of card.skills) {
        expect(
          skill.id && skill.name && skill.description && Array.isArray(skill.tags),
          JSON.stringify(skill),
        );
      }
    },
  },
  {
    ...{ id: "CARD-PROTO-002", level: "MUST" },
    async run(surface) {
      const card: Body = await (await cardOf(surface)).json();
      const declared: string[] =
        surface.version === "1.0"
          ? card.supportedInterfaces.map(
              (each: Body) => `${each.protocolVersion} ${each.protocolBinding} ${each.url}`,
            )
          : [
              `0.3 ${card.preferredTransport} ${card.url}`,
              ...(card.additionalInterfaces ?? []).map(
                (each: Body) => `0.3 ${each.transport} ${each.url}`,
              ),
            ];
      const wanted = `${surface.version} ${surface.binding} ${surface.url}`;
      expect(declared.includes(wanted), `${wanted} is not among ${declared.join("; ")}`);
    },
  },
  {
    ...{ id: "CARD-CACHE-001", level: "SHOULD" },
    async run(surface) {
      const response = await cardOf(surface);
      await response.body?.cancel();
      expect(response.headers.get("cache-control")?.includes("max-age"), "no max-age");
    },
  },
  {
    ...{ id: "CARD-CACHE-002", level: "SHOULD" },
    async run(surface) {
      const response = await cardOf(surface);
      await response.body?.cancel();
      const etag = response.headers.get("etag");
      expect(etag, "no ETag");
      const again = await cardOf(surface, { "if-none-match": etag });
      await again.body?.cancel();
      expect(again.status === 304, `HTTP ${again.status} to If-None-Match`);
    },
  },
  {
    ...{ id: "CARD-EXT-001", level: "MUST" },
    async run(surface) {
      const card = await succeed(call(surface, "extendedCard"));
      expect(card.name && card.skills?.length > 0, JSON.stringify(card));
    },
  },
  {
    ...{ id: "CARD-CAP push", level: "MUST" },
    async run(surface) {
      const card: Body = await (await cardOf(surface)).json();
      if (!card.capabilities.pushNotifications) throw new Skipped("it does not say so");
      const { id: taskId } = await completed(surface);
      await succeed(
        call(surface, "setPush", { taskId, id: uniqueId("push"), url: "https://example.com/x" }),
      );
    },
  },
];

export const wireChecks: readonly Check[] = [
  ...versions,
  ...rpcErrors,
  ...rpcForm,
  ...restForm,
  ...services,
  ...cards,
];
