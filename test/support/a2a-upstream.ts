/**
 * An agent of the reference SDK on a free port: revision 1.0 at one path and 0.3 at another, by the
 * SDK's own request handler and JSON-RPC transports.
 */
import { AgentCard, type Task, TaskState } from "@a2a-js/sdk";
import { LegacyJsonRpcTransportHandler } from "@a2a-js/sdk/compat/v0_3/server";
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from "@a2a-js/sdk/server";

export interface A2aUpstream {
  readonly origin: string;
  readonly newer: string;
  readonly older: string;
  readonly heard: { readonly headers: Record<string, string>; readonly body: string }[];
  /** Ids of the tasks it has worked at. */
  readonly tasks: string[];
  close(): Promise<void>;
}

export async function startA2aUpstream(): Promise<A2aUpstream> {
  const heard: A2aUpstream["heard"] = [];
  const tasks: string[] = [];
  const server: Bun.Server<undefined> = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request): Promise<Response> {
      const { pathname } = new URL(request.url);
      const older = pathname.startsWith("/older");
      const base: string = `http://127.0.0.1:${server.port}/${older ? "older" : "newer"}`;
      if (request.method === "GET") return Response.json(older ? olderCard(base) : cardOf(base));
      const body = await request.text();
      heard.push({ headers: Object.fromEntries(request.headers), body });
      const handler = older ? older03 : newer10;
      const context = new ServerCallContext({ requestedVersion: older ? "0.3" : "1.0" });
      const answer = await handler.handle(body, context);
      if (!(Symbol.asyncIterator in answer)) return Response.json(answer);
      return new Response(toBody(toSse(answer)), {
        headers: { "content-type": "text/event-stream" },
      });
    },
  });
  const origin = `http://127.0.0.1:${server.port}`;
  const toHandler = () =>
    new DefaultRequestHandler(
      AgentCard.fromJSON(cardOf(`${origin}/newer`)),
      new InMemoryTaskStore(),
      createEcho(tasks),
    );
  const newer10 = new JsonRpcTransportHandler(toHandler());
  const older03 = new LegacyJsonRpcTransportHandler(toHandler());
  return {
    ...{ origin, newer: `${origin}/newer`, older: `${origin}/older`, heard, tasks },
    close: () => server.stop(true),
  };
}

async function* toSse(events: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const event of events) yield encoder.encode(`data: ${JSON.stringify(event)}\n\n`);
}

/** Says what it was told; asked to "ask", it wants more first. */
function createEcho(tasks: string[]): AgentExecutor {
  return {
    async execute({ taskId, contextId, userMessage, task: held }, bus) {
      tasks.push(taskId);
      const [part] = userMessage.parts;
      const text = part?.content?.$case === "text" ? part.content.value : "";
      const status = (state: TaskState) => ({
        ...{ state, message: undefined, timestamp: new Date().toISOString() },
      });
      const none = { metadata: undefined };
      const task: Task = {
        ...{ id: taskId, contextId, status: status(TaskState.TASK_STATE_WORKING), artifacts: [] },
        ...{ history: [...(held?.history ?? []), userMessage], ...none },
      };
      bus.publish(AgentEvent.task(task));
      const end = (state: TaskState) =>
        bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status: status(state), ...none }));
      if (text === "ask") end(TaskState.TASK_STATE_INPUT_REQUIRED);
      else {
        const value = { $case: "text" as const, value: `You said: ${text}` };
        const parts = [{ content: value, filename: "", mediaType: "", ...none }];
        const artifact = {
          ...{ artifactId: "a1", name: "echo", description: "", parts, extensions: [] },
          ...none,
        };
        bus.publish(
          AgentEvent.artifactUpdate({
            ...{ taskId, contextId, artifact, append: false, lastChunk: true, ...none },
          }),
        );
        end(TaskState.TASK_STATE_COMPLETED);
      }
      bus.finished();
    },
    async cancelTask(taskId, bus) {
      tasks.push(taskId);
      bus.finished();
    },
  };
}

const facts = {
  ...{ name: "Echo", description: "Says what it is told.", version: "1.2.3" },
  ...{ defaultInputModes: ["text/plain"], defaultOutputModes: ["text/plain"] },
  skills: [{ id: "echo", name: "Echo", description: "Says it again.", tags: ["echo"] }],
  capabilities: { streaming: true },
};

const cardOf = (url: string) => ({
  ...facts,
  supportedInterfaces: [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
});

const olderCard = (url: string) => ({
  ...{ ...facts, url, protocolVersion: "0.3.0", preferredTransport: "JSONRPC" },
});

function toBody(pieces: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
}
