/** A form of a request, as its pieces come. */
import { GatewayError } from "../domain/errors.ts";
import type { FormSource } from "../pipeline/read-form.ts";
import type { Services } from "../pipeline/services.ts";
import { boundaryOf, FormInvalid } from "../std/multipart.ts";
import { readPieces, tooLarge } from "./read-body.ts";
import { assertFromHere } from "./route.ts";

/** Nothing is read, and nothing thrown, before the first piece is asked for: after the key. */
export function openForm(
  request: Request,
  services: Services,
  bodyLimitBytes: number = services.config.routeiq.bodyLimitBytes,
): FormSource {
  const contentType = request.headers.get("content-type") ?? "";
  const check = () => {
    // A page of another site may send a form without asking first.
    if (services.config.general.masterKey === undefined) assertFromHere(request, services);
    readBoundary(contentType);
    if (Number(request.headers.get("content-length")) > bodyLimitBytes) {
      throw tooLarge(bodyLimitBytes);
    }
  };
  return {
    get boundary() {
      check();
      return readBoundary(contentType);
    },
    chunks: readPieces(request, services, bodyLimitBytes),
  };
}

function readBoundary(contentType: string): string {
  try {
    const boundary = boundaryOf(contentType);
    if (boundary !== undefined) return boundary;
  } catch (cause) {
    throw toFormError(cause);
  }
  throw new GatewayError("unsupported_media_type", "A form must be multipart/form-data.");
}

/** What a caller is told of a form that cannot be read; any other failure as it is. */
export function toFormError(cause: unknown): unknown {
  if (!(cause instanceof FormInvalid)) return cause;
  const message = `The form cannot be read: ${cause.message}.`;
  return new GatewayError("invalid_request", message, { cause });
}
