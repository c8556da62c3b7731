/**
 * The only way out: every request that leaves this process passes here, so that one function
 * decides every address (DESIGN §12). Providers, S3, OTLP, webhooks all use it.
 */

/** `operator`: the address stands in the configuration, so loopback and private ranges are meant.
 * `strict`: it came by request or out of a remote document. Metadata addresses are refused always. */
export type Trust = "operator" | "strict";

export interface OutboundRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly signal?: AbortSignal;
  readonly trust: Trust;
  /** Limit of name resolution, address check and connection set-up together. Default 3,000. */
  readonly connectTimeoutMs?: number;
}

export interface Outbound {
  /**
   * Resolves, checks every address, connects to the checked address, follows no redirect.
   * @throws GatewayError address_refused, upstream_unreachable, upstream_timeout (connect);
   *         the signal's reason when it aborts.
   */
  fetch(request: OutboundRequest): Promise<Response>;
}
