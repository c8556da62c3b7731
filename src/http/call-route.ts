/** The contract of the routes that carry calls, and of what takes a request through one. */
import type { Arrival } from "../pipeline/read-call.ts";
import type { Reply } from "../pipeline/reply.ts";
import type { Services } from "../pipeline/services.ts";

/** A route that carries a call: what it is for, and which dialect its caller speaks. */
export interface CallRoute {
  readonly operation: Arrival["operation"];
  readonly dialect: Arrival["dialect"];
  /** Its body is a form, or may be one; otherwise it is JSON. */
  readonly form?: "always" | "sometimes";
  /** Where the path says whether to stream. */
  readonly stream?: boolean;
  /** What carries it, where that is more than the pipeline. @throws CallFailed */
  readonly handle?: (arrival: Arrival, services: Services) => Promise<Reply>;
}

export type Exchange = (
  request: Request,
  route: CallRoute,
  services: Services,
  pathModel?: string,
) => Promise<Response>;
