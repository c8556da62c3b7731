/** What a server offers: all pages of its lists, bounded, and kept until it says that they changed. */

import { isObject, type JsonObject } from "../../../domain/json.ts";
import type { Clock } from "../../../std/clock.ts";
import {
  PromptSchema,
  ResourceSchema,
  ResourceTemplateSchema,
  type ServerCapabilities,
  ToolSchema,
} from "../sdk.ts";
import type { Link } from "../upstream/link.ts";
import { unreachable } from "../upstream/link-error.ts";

export const listKinds = {
  tools: { method: "tools/list", capability: "tools", key: "tools", id: "name" },
  prompts: { method: "prompts/list", capability: "prompts", key: "prompts", id: "name" },
  resources: { method: "resources/list", capability: "resources", key: "resources", id: "uri" },
  templates: {
    method: "resources/templates/list",
    capability: "resources",
    key: "resourceTemplates",
    id: "uriTemplate",
  },
} as const satisfies Record<
  string,
  { method: string; capability: keyof ServerCapabilities; key: string; id: string }
>;
export type ListKind = keyof typeof listKinds;

/** Of one list of one server. A list that goes on for ever ends here, with an error. */
export const listLimits = { pages: 100, items: 10_000, ms: 120_000 } as const;
/** How long a list is believed of which its server does not say for how long. */
export const usualTtlMs = 60_000;
/** Every call looks a tool up in its list: that a server finds one stale at once is believed so far. */
const leastTtlMs = 1_000;

interface Held {
  readonly items: Promise<readonly JsonObject[]>;
  readonly untilMs: number;
}

export class Catalog {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #held = new Map<ListKind, Held>();
  /** As the server said of its last answer. */
  readonly #ttls = new Map<ListKind, number>();

  constructor(link: Link, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  /** Empty where the server has no such thing. @throws McpError */
  list(kind: ListKind, signal: AbortSignal): Promise<readonly JsonObject[]> {
    const held = this.#held.get(kind);
    if (held && held.untilMs > this.#clock.now()) return held.items;
    const items = this.#fetchAll(kind, signal);
    items.catch(() => this.forget(kind)); // whoever waits is told
    // Our own tools differ from one moment to the next, and cost nothing to list.
    if (this.#link.server.transport === "inner") return items;
    this.#held.set(kind, { items, untilMs: this.#clock.now() + usualTtlMs });
    void items.then(
      () => this.#shorten(kind, items),
      () => undefined, // forgotten above
    );
    return items;
  }

  /** How long a caller may keep it, at most. */
  ttlMs(kind: ListKind): number {
    return Math.min(this.#ttls.get(kind) ?? usualTtlMs, usualTtlMs);
  }

  #shorten(kind: ListKind, items: Held["items"]): void {
    const ttlMs = Math.max(this.ttlMs(kind), leastTtlMs);
    if (this.#held.get(kind)?.items !== items) return;
    this.#held.set(kind, { items, untilMs: this.#clock.now() + ttlMs });
  }

  forget(kind?: ListKind): void {
    if (kind) this.#held.delete(kind);
    else this.#held.clear();
  }

  async #fetchAll(kind: ListKind, signal: AbortSignal): Promise<readonly JsonObject[]> {
    const { method, capability, key, id } = listKinds[kind];
    const { capabilities } = await this.#link.open();
    if (!capabilities[capability]) return [];
    const items: JsonObject[] = [];
    const seen = new Set<string>();
    const untilMs = this.#clock.now() + listLimits.ms;
    for (let cursor: string | undefined, page = 0; ; page++) {
      const params: JsonObject = cursor === undefined ? {} : { cursor };
      const reply = await this.#link.request(method, params, { signal });
      this.#remember(kind, reply["ttlMs"], page);
      const listed = reply[key];
      if (!Array.isArray(listed)) throw this.#broken(`its answer to ${method} has no list`);
      for (const item of listed) {
        // What has no name cannot be asked for, and a second one of a name would hide the first.
        if (!isObject(item) || typeof item[id] !== "string" || seen.has(item[id])) continue;
        seen.add(item[id]);
        items.push(sound(kind, item));
      }
      const next = reply["nextCursor"];
      if (typeof next !== "string") return items.sort((a, b) => compare(a[id], b[id]));
      if (page + 1 >= listLimits.pages || items.length > listLimits.items || next === cursor) {
        throw this.#broken(
          `${method} goes on past ${listLimits.pages} pages or ${listLimits.items} items`,
        );
      }
      if (this.#clock.now() > untilMs)
        throw this.#broken(`${method} takes longer than ${listLimits.ms / 1000} s`);
      cursor = next;
    }
  }

  /** The shortest of its pages. */
  #remember(kind: ListKind, told: unknown, page: number): void {
    const ttlMs = typeof told === "number" && told >= 0 ? Math.floor(told) : usualTtlMs;
    this.#ttls.set(kind, page === 0 ? ttlMs : Math.min(ttlMs, this.ttlMs(kind)));
  }

  #broken(why: string) {
    return unreachable(this.#link.server, why);
  }
}

const schemas = {
  tools: ToolSchema,
  prompts: PromptSchema,
  resources: ResourceSchema,
  templates: ResourceTemplateSchema,
} as const;

/**
 * As it came, where it is as the protocol has it. Clients refuse a whole list for one item that is
 * not, so of such a one only its name is shown, and that it lied.
 */
function sound(kind: ListKind, item: JsonObject): JsonObject {
  if (schemas[kind].safeParse(item).success) return item;
  const { name, uri, uriTemplate } = item;
  const kept =
    kind === "tools" || kind === "prompts"
      ? { name }
      : { name: String(name ?? uri ?? uriTemplate) };
  return {
    ...kept,
    ...(kind === "resources" ? { uri } : {}),
    ...(kind === "templates" ? { uriTemplate } : {}),
    ...(kind === "tools" ? { inputSchema: { type: "object" } } : {}),
    description: "(The server's definition of it is not as the protocol has it.)",
    _meta: { "routeiq/malformed": true },
  };
}

const compare = (a: unknown, b: unknown) => (String(a) < String(b) ? -1 : 1);
