/** Where the router in force stands. A swap is one assignment; a call keeps the one it began with. */
import type { TrainedRouter } from "./trained-router.ts";

/** How the artifact stands, as readiness and `/router/info` show it. */
export interface ArtifactStatus {
  /** `none`: no learned strategy is configured. */
  readonly status: "active" | "none" | "missing" | "refused" | "stale";
  /** A refusal code of ARTIFACTS.md. */
  readonly code?: string;
  /** What the operator should do, exactly. */
  readonly remedy?: string;
  readonly name?: string;
  readonly version?: number;
}

/** A router held for the length of one call. */
export interface Lease {
  readonly router: TrainedRouter;
  release(): void;
}

export interface RouterSlot {
  /** Undefined where no verified router is in force: routing is static then. */
  acquire(): Lease | undefined;
  status(): ArtifactStatus;
}

/** The slot that `gateway.ts` holds: counts leases, and closes a retired router after its last call. */
export interface SwappableSlot extends RouterSlot {
  swap(router: TrainedRouter | undefined, status: ArtifactStatus): void;
  setStatus(status: ArtifactStatus): void;
}

export function createSlot(initial: ArtifactStatus): SwappableSlot {
  let held: { router: TrainedRouter; leases: number; retired: boolean } | undefined;
  let current = initial;
  return {
    acquire() {
      const holder = held;
      if (!holder) return undefined;
      holder.leases++;
      let released = false;
      return {
        router: holder.router,
        release() {
          if (released) return;
          released = true;
          holder.leases--;
          if (holder.retired && holder.leases === 0) holder.router.close();
        },
      };
    },
    status: () => current,
    setStatus(status) {
      current = status;
    },
    swap(router, status) {
      const old = held;
      held = router ? { router, leases: 0, retired: false } : undefined;
      current = status;
      if (!old) return;
      old.retired = true;
      if (old.leases === 0) old.router.close();
    },
  };
}
