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

/** A router that a share of the calls tries out, beside the one in force. */
export interface Canary {
  /** `name@version`. */
  readonly label: string;
  /** Of the users, conversations or calls, in (0, 1]. */
  readonly share: number;
}

export interface RouterSlot {
  /** Undefined where no verified router is in force: routing is static then. */
  acquire(): Lease | undefined;
  /** Undefined where no share of the calls is another router's. */
  canary(): Canary | undefined;
  acquireCanary(): Lease | undefined;
  status(): ArtifactStatus;
}

/** The slot that `gateway.ts` holds: counts leases, and closes a retired router after its last call. */
export interface SwappableSlot extends RouterSlot {
  swap(router: TrainedRouter | undefined, status: ArtifactStatus): void;
  setStatus(status: ArtifactStatus): void;
  /**
   * Holds a router beside the one in force, for a share of the calls (0: for none yet), until it is
   * swapped in or, by undefined, taken away.
   */
  setCanary(router: TrainedRouter | undefined, share?: number): void;
}

interface Holder {
  readonly router: TrainedRouter;
  leases: number;
  retired: boolean;
}

export function createSlot(initial: ArtifactStatus): SwappableSlot {
  let held: Holder | undefined;
  let tried: Holder | undefined;
  let canary: Canary | undefined;
  let current = initial;

  function lease(holder: Holder): Lease {
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
  }

  function retire(holder: Holder | undefined): void {
    if (!holder) return;
    holder.retired = true;
    if (holder.leases === 0) holder.router.close();
  }

  return {
    acquire: () => (held ? lease(held) : undefined),
    canary: () => canary,
    acquireCanary: () => (tried ? lease(tried) : undefined),
    status: () => current,
    setStatus(status) {
      current = status;
    },
    swap(router, status) {
      current = status;
      if (router !== undefined && router === held?.router) return;
      const old = held;
      if (router !== undefined && router === tried?.router) {
        // The canary has come into force: its calls in flight count for it as before.
        held = tried;
        tried = undefined;
        canary = undefined;
      } else {
        held = router ? { router, leases: 0, retired: false } : undefined;
      }
      retire(old);
    },
    setCanary(router, share = 0) {
      const old = tried;
      if (router !== old?.router) {
        tried = router ? { router, leases: 0, retired: false } : undefined;
        retire(old);
      }
      const name = router?.identity;
      canary = name && share > 0 ? { label: `${name.name}@${name.version}`, share } : undefined;
    },
  };
}
