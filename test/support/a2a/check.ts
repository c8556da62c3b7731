/** What a check of A2A is, and what all of them need. Ids are those of A2A's TCK where it has one. */
import { type Answer, type Body, call, type Events, open, type Surface } from "./wire.ts";

export interface Check {
  readonly id: string;
  readonly level: "MUST" | "SHOULD" | "MAY";
  /** Where it applies to one of them alone. */
  readonly version?: Surface["version"];
  readonly binding?: Surface["binding"];
  /** Resolves where it holds; throws where it does not; throws Skipped where it cannot be seen. */
  readonly run: (surface: Surface, world: World) => Promise<void>;
}

export interface World {
  /** Where notifications arrive: each has a path of its own. */
  readonly hook: Hook;
  /** A task that is not over, and how it comes to its end. */
  readonly begin: (surface: Surface) => Promise<Begun>;
  /** A message whose task takes its time: some tenths of a second. */
  readonly slow: () => Body;
  /** The agent does what the id of a message says, as the reference does. */
  readonly obeys: boolean;
}

export interface Begun {
  readonly taskId: string;
  readonly contextId: string;
  readonly finish: () => Promise<unknown>;
}

export interface Hook {
  readonly url: (path: string) => string;
  /** Of one path, as soon as they are enough, or the time is over. */
  readonly arrived: (
    path: string,
    isEnough?: (notices: readonly Notice[]) => boolean,
  ) => Promise<readonly Notice[]>;
}

export interface Notice {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
}

export class Skipped extends Error {}

let made = 0;
export const uniqueId = (name: string): string =>
  `tck-${name}-${++made}-${crypto.randomUUID().slice(0, 8)}`;

/** A message of a user, whose id says what is to become of it. */
export const says = (id: string, more: Body = {}): Body => ({
  ...{ messageId: uniqueId(id), role: "ROLE_USER", parts: [{ text: "Hello from the check" }] },
  ...more,
});

export function expect(holds: unknown, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}

export async function succeed(asked: Promise<Answer>): Promise<Body> {
  const { error, result } = await asked;
  expect(!error, `refused with ${JSON.stringify(error)}`);
  return result;
}

export async function completed(
  surface: Surface,
  message: Body = says("complete-task"),
): Promise<Body> {
  const { task } = await succeed(call(surface, "send", { message }));
  if (!task) throw new Skipped("the agent answers with a message");
  expect(task.status.state === "TASK_STATE_COMPLETED", `the task is ${task.status.state}`);
  return task;
}

export async function events(
  surface: Surface,
  name: "stream" | "subscribe",
  params: Body,
): Promise<Events> {
  const opened = await open(surface, name, params);
  if ("raw" in opened) return opened;
  throw new Error(
    `no stream: HTTP ${opened.status} ${JSON.stringify(opened.error ?? opened.body)}`,
  );
}

export async function all(stream: AsyncIterable<Body>): Promise<Body[]> {
  const told: Body[] = [];
  for await (const event of stream) told.push(event);
  return told;
}

export const stateOf = (event: Body): string | undefined =>
  (event.task ?? event.statusUpdate ?? event)?.status?.state;

export const isOver = (state: string | undefined): boolean =>
  /COMPLETED|FAILED|CANCELED|REJECTED/.test(state ?? "");

/** The specification's §5.4: JSON-RPC's code, HTTP's status. */
const table = {
  taskNotFound: [-32001, 404, "TASK_NOT_FOUND"],
  taskNotCancelable: [-32002, 400, "TASK_NOT_CANCELABLE"],
  pushNotSupported: [-32003, 400, "PUSH_NOTIFICATION_NOT_SUPPORTED"],
  unsupportedOperation: [-32004, 400, "UNSUPPORTED_OPERATION"],
  contentTypeNotSupported: [-32005, 400, "CONTENT_TYPE_NOT_SUPPORTED"],
  extensionRequired: [-32008, 400, "EXTENSION_SUPPORT_REQUIRED"],
  versionNotSupported: [-32009, 400, "VERSION_NOT_SUPPORTED"],
  invalidParams: [-32602, 400, ""],
} as const;

export function expectError(
  { error, status }: Answer,
  name: keyof typeof table,
  { binding, version }: Surface,
): void {
  const [code, http, reason] = table[name];
  expect(error, `${name} was expected; it answered with HTTP ${status}`);
  if (binding === "JSONRPC")
    expect(error.code === code, `code ${error.code}, not ${code}: ${error.message}`);
  // What 0.3 writes over HTTP+JSON was never settled but for its being refused.
  else if (version === "0.3") expect(status >= 400, `HTTP ${status}`);
  else {
    expect(status === http, `HTTP ${status}, not ${http}: ${error.message}`);
    if (reason) expect(error.reason === reason, `reason '${error.reason}', not ${reason}`);
  }
}
