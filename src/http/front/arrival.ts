/** A plain call as the pipeline takes it: its body is here already. */
import type { HangUp, RequestHeaders } from "../../domain/call.ts";
import type { Arrival, ReceivedBody } from "../../pipeline/read-call.ts";
import type { Services } from "../../pipeline/services.ts";
import type { CallRoute } from "../call-route.ts";
import { readRequestId } from "../exchange.ts";
import { assertMediaType } from "../read-body.ts";
import type { Head } from "./head.ts";

export class PlainArrival implements Arrival {
  readonly id: string;
  readonly requestId: string;
  readonly operation: Arrival["operation"];
  readonly dialect: Arrival["dialect"];
  readonly headers: RequestHeaders;
  readonly signal: HangUp;
  readonly atMs: number;
  readonly atUs: number;
  readonly services: Services;
  readonly #body: ReceivedBody;

  constructor(
    { headers }: Head,
    body: ReceivedBody,
    { operation, dialect }: CallRoute,
    services: Services,
    signal: HangUp,
  ) {
    const { clock } = services;
    this.id = Bun.randomUUIDv7();
    this.requestId = readRequestId(headers) ?? this.id;
    this.operation = operation;
    this.dialect = dialect;
    this.headers = headers;
    this.signal = signal;
    this.atMs = clock.now();
    this.atUs = clock.monotonicUs();
    this.services = services;
    this.#body = body;
  }

  bytes(): ReceivedBody {
    assertMediaType(this.headers);
    return this.#body;
  }
}
