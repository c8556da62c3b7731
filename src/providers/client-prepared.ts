/** What the client keeps of a deployment between its calls. */
import type { Deployment, Operation } from "../domain/model.ts";
import type { Destination } from "../security/destination.ts";
import type { Outbound } from "../security/outbound.ts";
import type { Fit, Provider } from "./provider.ts";

/** What is the same for every call to a deployment, made once. */
export interface Prepared {
  readonly provider: Provider;
  readonly urls: Readonly<Partial<Record<Operation, string | undefined>>>;
  readonly streamUrl: string | undefined;
  readonly countUrl: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** What is put right of its answers, of chat and of text completions. */
  readonly fits: Readonly<Partial<Record<Operation, Fit>>> | undefined;
  /** The provider takes this model's calls as they are. */
  readonly unchanged: boolean;
  /** The way out for this deployment: it signs, where requests are signed. */
  readonly way: Outbound;
  /** The same for the hot path. */
  readonly send: NonNullable<Outbound["send"]>;
  /** By URL: what of a request to it is the same for each. */
  readonly destinations: Map<string, Destination>;
}

/** What is put right of a deployment's answers: decided by its model, once. */
export function fitsOf({ fit }: Provider, { upstreamModel }: Deployment): Prepared["fits"] {
  const { chat, completion } = fit ?? {};
  const applies = chat && (chat.applies?.(upstreamModel) ?? true);
  if (!(applies || completion)) return undefined;
  return { ...(applies ? { chat } : {}), ...(completion ? { completion } : {}) };
}
