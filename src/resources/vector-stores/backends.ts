/** Where stores lie: the gateway's own vectors, or one of the configured databases, opened when needed. */
import type { Config, VectorBackend } from "../../config/config.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";
import type { StoredRecord } from "../../storage/record-store.ts";
import type { VectorStore } from "../../storage/vectors.ts";

export interface VectorBackends {
  /**
   * The backend of a store's record, by the name it was made with.
   * @throws GatewayError storage_failed where that is configured no more
   */
  of(store: StoredRecord | undefined): VectorStore;
  /** The name that a new store gets: what it asks for, else the configured. @throws GatewayError invalid_request */
  choose(asked: string | undefined): string | undefined;
  close(): Promise<void>;
}

export interface VectorBackendParts {
  readonly embedded: VectorStore;
  readonly settings: () => Config["routeiq"]["vectorStores"];
  readonly outbound: Outbound;
  readonly clock: Clock;
}

const ownName = "embedded";

export function createVectorBackends(parts: VectorBackendParts): VectorBackends {
  const { embedded, settings } = parts;
  const opened = new Map<string, { readonly from: VectorBackend; readonly store: VectorStore }>();

  function open(name: string): VectorStore {
    const from = settings().backends[name];
    if (!from) {
      const message = `This store lies on '${excerpt(name)}', which routeiq_settings.vector_stores.backends has no more.`;
      throw new GatewayError("storage_failed", message);
    }
    const held = opened.get(name);
    if (held?.from === from) return held.store;
    const store = createLazily(() => openBackend(from, parts));
    opened.set(name, { from, store });
    // A reload changed it: what is asked of the old one meanwhile ends in peace.
    held?.store.close().catch(() => undefined);
    return store;
  }

  return {
    of(store) {
      const name = store?.value["backend"];
      return typeof name === "string" ? open(name) : embedded;
    },
    choose(asked) {
      const { backend, backends } = settings();
      const name = asked ?? backend;
      if (name === undefined || name === ownName) return undefined;
      if (Object.hasOwn(backends, name)) return name;
      const known = [ownName, ...Object.keys(backends)].join(", ");
      const message = `'backend' cannot be '${excerpt(name)}': there are ${known}.`;
      throw new GatewayError("invalid_request", message, { param: "backend" });
    },
    async close() {
      await Promise.all([...opened.values()].map(({ store }) => store.close()));
    },
  };
}

/** None of this is loaded where nobody configures it. */
async function openBackend(from: VectorBackend, parts: VectorBackendParts): Promise<VectorStore> {
  const { openVectorBackend } = await import("../../storage/vector-backends/open.ts");
  return openVectorBackend(from, parts);
}

/** A store that is opened by the first who asks it. */
function createLazily(open: () => Promise<VectorStore>): VectorStore {
  let store: Promise<VectorStore> | undefined;
  const get = () => {
    store ??= open();
    return store;
  };
  return {
    isWhole: false, // one of them is more than it says
    put: async (...args) => (await get()).put(...args),
    setAttributes: async (...args) => (await get()).setAttributes(...args),
    remove: async (...args) => (await get()).remove(...args),
    drop: async (...args) => (await get()).drop(...args),
    search: async (...args) => (await get()).search(...args),
    read: async (...args) => (await get()).read(...args),
    close: async () => (await store)?.close(),
  };
}
