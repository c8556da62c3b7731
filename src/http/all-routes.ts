/** The routes beside the hot ones, of a running gateway: the first ones at once, the rest when asked for. */
import { createFirstRoutes } from "./first-routes.ts";
import type { SlowRoutes } from "./route.ts";
import type { SlowRouteParts } from "./slow-routes.ts";

/** What the rest needs beside what the gateway has at hand. */
type Memory = Pick<
  SlowRouteParts,
  | "files"
  | "uploads"
  | "fineTuning"
  | "batches"
  | "assistants"
  | "vectorStores"
  | "mcp"
  | "agents"
  | "skills"
>;

export interface AllRouteParts extends Omit<SlowRouteParts, keyof Memory> {
  readonly memory: () => Promise<Memory>;
}

export function createAllRoutes(parts: AllRouteParts): SlowRoutes {
  const { slot, reloader, drift = () => [] } = parts;
  const health = { artifact: () => slot.status(), reload: reloader.status, drift };
  return createFirstRoutes({ ...parts, health }, async () => {
    const [{ createSlowRoutes }, memory] = await Promise.all([
      import("./slow-routes.ts"),
      parts.memory(),
    ]);
    return createSlowRoutes({ ...parts, ...memory });
  });
}
