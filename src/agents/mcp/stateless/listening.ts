/**
 * For a session whose server is of revision 2026-07-28: one stream of the changes that its client may
 * hear of, opened when the first of them is wanted, and again when it breaks.
 */
import { isObject, type JsonObject } from "../../../domain/json.ts";
import { rethrown } from "../mcp-error.ts";
import { ErrorCode } from "../sdk.ts";
import type { Connection, ConnectOptions } from "../upstream/connection-contract.ts";

export interface Listening {
  /** @throws McpError, where the server will not tell of it */
  subscribe(uri: string): Promise<JsonObject>;
  unsubscribe(uri: string): Promise<JsonObject>;
  close(): void;
}

const subscriptionLimit = 1_000;
const againMs = { least: 1_000, most: 60_000 } as const;

export function createListening(
  listen: NonNullable<Connection["listen"]>,
  capabilities: JsonObject,
  { hears, clock, onNotification }: Pick<ConnectOptions, "hears" | "clock" | "onNotification">,
): Listening {
  const uris = new Set<string>();
  const lists = changesOf(capabilities);
  let current: AbortController | undefined;
  let failures = 0;
  let closed = false;

  /** A new stream takes the place of the one before, once it is there. */
  async function begin(): Promise<JsonObject> {
    const next = new AbortController();
    const filter = { ...lists, ...(uris.size > 0 ? { resourceSubscriptions: [...uris] } : {}) };
    const agreed = await listen(filter, {
      signal: next.signal,
      onNotification,
      onEnd: () => {
        if (current === next) again();
      },
    });
    if (closed) next.abort();
    current?.abort();
    current = next;
    failures = 0;
    return agreed;
  }

  function again(): void {
    current = undefined;
    const pauseMs = Math.min(againMs.most, againMs.least * 2 ** failures++);
    clock.after(pauseMs, () => {
      if (!closed && !current) void begin().catch(() => again());
    });
  }

  if (hears && Object.keys(lists).length > 0) void begin().catch(() => again());

  return {
    async subscribe(uri) {
      if (uris.size >= subscriptionLimit)
        throw rethrown(ErrorCode.InvalidParams, `Over ${subscriptionLimit} subscriptions.`);
      uris.add(uri);
      const { resourceSubscriptions: agreed } = await begin();
      if (Array.isArray(agreed) && agreed.includes(uri)) return {};
      uris.delete(uri);
      throw rethrown(
        ErrorCode.InvalidParams,
        "The server does not tell of changes of this resource.",
      );
    },
    async unsubscribe(uri) {
      if (uris.delete(uri)) await begin();
      return {};
    },
    close() {
      closed = true;
      current?.abort();
    },
  };
}

/** What of a server's lists it tells changes of. */
export function changesOf(capabilities: JsonObject): JsonObject {
  const has = (name: string) => {
    const of = capabilities[name];
    return isObject(of) && of["listChanged"] === true;
  };
  return {
    ...(has("tools") ? { toolsListChanged: true } : {}),
    ...(has("prompts") ? { promptsListChanged: true } : {}),
    ...(has("resources") ? { resourcesListChanged: true } : {}),
  };
}
