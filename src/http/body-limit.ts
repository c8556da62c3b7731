/** What a body beyond the limit is told. */
import { GatewayError } from "../domain/errors.ts";

export function tooLarge(limitBytes: number): GatewayError {
  return new GatewayError(
    "body_too_large",
    `The body is larger than the limit of ${limitBytes} bytes. Send less, or raise routeiq_settings.body_limit_bytes.`,
  );
}
