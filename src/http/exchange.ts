/** Between HTTP and the pipeline: a request in, as an Arrival; a reply out, as a Response. */
import type { RequestHeaders } from "../domain/call.ts";
import { toGatewayError } from "../domain/errors.ts";
import { isFor } from "../domain/model.ts";
import { CallFailed, handle } from "../pipeline/handle.ts";
import type { Arrival } from "../pipeline/read-call.ts";
import { noForm } from "../pipeline/read-form.ts";
import { isWhole, type Reply } from "../pipeline/reply.ts";
import type { Services } from "../pipeline/services.ts";
import type { CallRoute, Exchange } from "./call-route.ts";
import { toErrorResponse } from "./errors.ts";
import { openForm } from "./form.ts";
import { isJsonArray, toJsonArray, withQueryKey } from "./gemini/wire.ts";
import { createHeaderTemplates, type HeaderTemplates } from "./headers.ts";
import { moreHeaders, wantsMore } from "./more-headers.ts";
import { readBytes } from "./read-body.ts";
import { toReadable } from "./reply-body.ts";
import { assertFromHere } from "./route.ts";

export function createExchange(): Exchange {
  const templates = createHeaderTemplates();
  return async (request, route, services, pathModel) => {
    const arrival = new HttpArrival(request, route, services, pathModel);
    try {
      assertNoStrangePage(request, services);
      const reply = await (route.handle ?? handle)(arrival, services);
      if (isJsonArray(request.url, route) && !isWhole(reply.body)) {
        const list = { ...reply, body: toJsonArray(reply.body) };
        const response = toResponse(list, templates, services);
        response.headers.set("content-type", "application/json; charset=utf-8");
        return response;
      }
      return toResponse(reply, templates, services);
    } catch (thrown) {
      if (!(thrown instanceof CallFailed)) throw thrown;
      return toErrorResponse(thrown, arrival, services.getDialect(route.dialect), services);
    }
  };
}

/** Browsers name the page that sends; without a master key, only pages of this machine may. */
export function assertNoStrangePage(request: Request, services: Services): void {
  if (services.config.general.masterKey !== undefined || !request.headers.has("origin")) return;
  try {
    assertFromHere(request, services);
  } catch (thrown) {
    throw new CallFailed(toGatewayError(thrown), undefined);
  }
}

/** A request as the pipeline takes it. A class, as one is made for every call. */
class HttpArrival implements Arrival {
  readonly id: string;
  readonly requestId: string;
  readonly operation: Arrival["operation"];
  readonly dialect: Arrival["dialect"];
  readonly headers: Headers;
  readonly signal: AbortSignal;
  readonly atMs: number;
  readonly atUs: number;
  readonly pathModel: string | undefined;
  readonly defaultModel: string | undefined;
  readonly pathStream: boolean | undefined;
  readonly form: Arrival["form"];
  readonly #request: Request;
  readonly #services: Services;
  readonly #onlyForm: boolean;

  constructor(
    request: Request,
    { operation, dialect, form, stream }: CallRoute,
    services: Services,
    pathModel: string | undefined,
  ) {
    const { clock, table } = services;
    this.id = Bun.randomUUIDv7();
    this.headers = stream === undefined ? request.headers : withQueryKey(request);
    this.requestId = readRequestId(this.headers) ?? this.id;
    this.operation = operation;
    this.dialect = dialect;
    this.signal = request.signal;
    this.atMs = clock.now();
    this.atUs = clock.monotonicUs();
    this.pathModel = pathModel;
    this.defaultModel = mayOmitModel.has(operation) ? firstFor(operation, table) : undefined;
    this.pathStream = stream;
    const isForm = form !== undefined && isMultipart(this.headers);
    this.form = isForm ? openForm(request, services) : undefined;
    this.#onlyForm = form === "always" || isForm;
    this.#request = request;
    this.#services = services;
  }

  bytes(): Promise<Uint8Array | ArrayBuffer> {
    if (this.#onlyForm) throw noForm(this.operation, this.headers.get("content-type"));
    return readBytes(this.#request, this.#services);
  }
}

function isMultipart(headers: RequestHeaders): boolean {
  return /^multipart\//i.test(headers.get("content-type") ?? "");
}

/** OpenAI has a default of its own for these; ours is the first model that is meant for it. */
export const mayOmitModel: ReadonlySet<Arrival["operation"]> = new Set([
  ...(["moderation", "image_generation", "image_edit", "image_variation"] as const),
]);

function firstFor(operation: Arrival["operation"], { deployments }: Services["table"]) {
  const meant = deployments.filter(({ operationFrom }) => operationFrom !== undefined);
  return meant.find((deployment) => isFor(deployment, operation))?.group;
}

/** A caller's own id is kept where it is printable and short; header injection needs neither. */
export function readRequestId(headers: RequestHeaders): string | undefined {
  const id = headers.get("x-request-id");
  return id !== null && /^[\x21-\x7e]{1,128}$/.test(id) ? id : undefined;
}

function toResponse(
  { record, body, contentType }: Reply,
  templates: HeaderTemplates,
  services: Services,
): Response {
  const content = isWhole(body) ? (body as BodyInit) : toReadable(body, services);
  const response = new Response(content, { headers: templates.of(record, services) });
  if (contentType !== undefined) response.headers.set("content-type", contentType);
  if (wantsMore(services)) {
    for (const [name, value] of moreHeaders(record, services)) response.headers.set(name, value);
  }
  return response;
}
