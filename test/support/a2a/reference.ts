/**
 * The reference agent: @a2a-js/sdk behind its own express handlers, both revisions and both bindings.
 * What a message makes of a task is said by how its id begins, as in A2A's TCK.
 */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  AgentCard,
  type Message,
  type Part,
  Role,
  type Task,
  TaskState,
  type TaskStatusUpdateEvent,
} from "@a2a-js/sdk";
import { createLegacyAwarePushNotificationSender } from "@a2a-js/sdk/compat/v0_3/server";
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  type ExecutionEventBus,
  InMemoryPushNotificationStore,
  InMemoryTaskStore,
} from "@a2a-js/sdk/server";
import {
  agentCardHandler,
  jsonRpcHandler,
  restHandler,
  UserBuilder,
} from "@a2a-js/sdk/server/express";
import express from "express";

export interface Reference {
  readonly origin: string;
  /** An agent's base: all that it serves lies below. */
  readonly url: string;
  /** The same behind a card that names the older revision alone, one that names HTTP+JSON alone, both. */
  readonly alone: (form: Form) => string;
  close(): Promise<void>;
}

export type Form = "1.0 JSONRPC" | "0.3 JSONRPC" | "1.0 HTTP+JSON" | "0.3 HTTP+JSON";
const forms: readonly Form[] = ["1.0 JSONRPC", "0.3 JSONRPC", "1.0 HTTP+JSON", "0.3 HTTP+JSON"];

/** How long a task that takes its time takes. */
const delayMs = 400;

export async function startReference(): Promise<Reference> {
  const app = express();
  const server = await new Promise<Server>((resolve) => {
    const made = app.listen(0, "127.0.0.1", () => resolve(made));
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const mount = (name: string, of: readonly Form[]) => {
    const base = `${origin}/${name}`;
    const card = AgentCard.fromJSON(toCard(base, of));
    const pushes = new InMemoryPushNotificationStore();
    const handler = new DefaultRequestHandler(
      card,
      new InMemoryTaskStore(),
      createExecutor(),
      undefined,
      pushes,
      createLegacyAwarePushNotificationSender(pushes),
      card,
      undefined,
      { validateInputModes: true },
    );
    const isOlder = of.some((form) => form.startsWith("0.3"));
    const legacy = isOlder ? { legacyCompat: { enabled: true } } : {};
    const common = {
      requestHandler: handler,
      userBuilder: UserBuilder.noAuthentication,
      ...legacy,
    };
    app.use(
      `/${name}/.well-known/agent-card.json`,
      agentCardHandler({ agentCardProvider: handler, ...legacy }),
    );
    app.use(`/${name}/rest`, restHandler(common));
    app.use(`/${name}`, jsonRpcHandler(common));
  };
  mount("all", forms);
  for (const form of forms) mount(toName(form), [form]);
  return {
    origin,
    url: `${origin}/all`,
    alone: (form) => `${origin}/${toName(form)}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const toName = (form: Form) => form.toLowerCase().replace(/[^a-z0-9]+/g, "-");

function toCard(base: string, of: readonly Form[]) {
  return {
    ...{ name: "Reference", description: "Does what A2A's TCK asks.", version: "1.0.0" },
    capabilities: { streaming: true, pushNotifications: true, extendedAgentCard: true },
    ...{ defaultInputModes: ["text/plain"], defaultOutputModes: ["text/plain"] },
    skills: [{ id: "tck", name: "TCK", description: "Answers its messages.", tags: ["tck"] }],
    supportedInterfaces: of.map((form) => {
      const [protocolVersion, protocolBinding] = form.split(" ");
      const url = protocolBinding === "JSONRPC" ? base : `${base}/rest`;
      return { url, protocolBinding, protocolVersion };
    }),
  };
}

const none = { metadata: undefined } as const;
const part = (content: Part["content"], mediaType = "", filename = ""): Part => ({
  ...{ content, mediaType, filename },
  ...none,
});
const text = (value: string) => part({ $case: "text", value });

function createExecutor(): AgentExecutor {
  const cancelled = new Set<string>();
  const contexts = new Map<string, string>();
  return {
    async execute({ taskId, contextId, userMessage, task: held }, bus) {
      const says = (value: string): Message => ({
        ...{ messageId: crypto.randomUUID(), contextId, taskId, role: Role.ROLE_AGENT },
        ...{ parts: [text(value)], extensions: [], referenceTaskIds: [], ...none },
      });
      const { messageId } = userMessage;
      contexts.set(taskId, contextId);
      if (messageId.startsWith("tck-message-response")) {
        bus.publish(AgentEvent.message(says("Direct message response")));
        bus.finished();
        return;
      }
      const status = (state: TaskState, message?: Message): TaskStatusUpdateEvent["status"] => ({
        ...{ state, message, timestamp: new Date().toISOString() },
      });
      const task: Task = {
        ...{ id: taskId, contextId, status: status(TaskState.TASK_STATE_SUBMITTED) },
        ...{ artifacts: [], history: [...(held?.history ?? []), userMessage], ...none },
      };
      if (!held) bus.publish(AgentEvent.task(task));
      const move = (state: TaskState, message?: Message) =>
        bus.publish(
          AgentEvent.statusUpdate({ taskId, contextId, status: status(state, message), ...none }),
        );
      await act(messageId, {
        bus,
        taskId,
        contextId,
        move,
        says,
        isOver: () => cancelled.has(taskId),
      });
      bus.finished();
    },
    async cancelTask(taskId, bus) {
      cancelled.add(taskId);
      bus.publish(
        AgentEvent.statusUpdate({
          ...{ taskId, contextId: contexts.get(taskId) ?? "" },
          status: {
            ...{ state: TaskState.TASK_STATE_CANCELED, message: undefined },
            timestamp: new Date().toISOString(),
          },
          ...none,
        }),
      );
      bus.finished();
    },
  };
}

interface Act {
  readonly bus: ExecutionEventBus;
  readonly taskId: string;
  readonly contextId: string;
  readonly move: (state: TaskState, message?: Message) => void;
  readonly says: (value: string) => Message;
  readonly isOver: () => boolean;
}

async function act(messageId: string, { bus, taskId, contextId, move, says, isOver }: Act) {
  const is = (prefix: string) => messageId.startsWith(`tck-${prefix}`);
  const artifact = (of: Part, append = false, lastChunk = true) =>
    bus.publish(
      AgentEvent.artifactUpdate({
        ...{ taskId, contextId, append, lastChunk, ...none },
        artifact: {
          ...{ artifactId: "a1", name: "", description: "", parts: [of], extensions: [], ...none },
        },
      }),
    );
  if (is("input-required")) return move(TaskState.TASK_STATE_INPUT_REQUIRED);
  if (is("reject-task")) return move(TaskState.TASK_STATE_REJECTED, says("rejected"));
  if (is("stream") || is("delayed")) move(TaskState.TASK_STATE_WORKING);
  if (is("delayed")) await Bun.sleep(delayMs);
  if (isOver()) return;
  if (is("stream-artifact-chunked")) {
    artifact(text("chunk-1 "), false, false);
    artifact(text("chunk-2"), true, true);
  } else if (is("artifact-file-url")) {
    artifact(
      part({ $case: "url", value: "https://example.com/output.txt" }, "text/plain", "output.txt"),
    );
  } else if (is("artifact-file") || is("stream-artifact-file")) {
    artifact(part({ $case: "raw", value: Buffer.from("tck") }, "text/plain", "output.txt"));
  } else if (is("artifact-data")) {
    artifact(part({ $case: "data", value: { key: "value", count: 42 } }));
  } else if (is("artifact") || is("stream")) artifact(text("Generated text content"));
  move(TaskState.TASK_STATE_COMPLETED, is("complete-task") ? says("Hello from TCK") : undefined);
}
