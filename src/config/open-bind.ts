/** Who may listen where: see `refuseOpenBind`. */
import type { Config } from "./config.ts";

/**
 * The rule of who may listen where: without a master key every caller is administrator, which is
 * for this machine alone. Returns the refusal's message, or undefined where the bind is in order.
 */
export function refuseOpenBind(config: Config, host: string): string | undefined {
  if (config.general.masterKey !== undefined || isLoopback(host)) return undefined;
  return (
    `No master key is set, so RouteIQ does not listen on ${host}, where others could reach it. ` +
    "Set LITELLM_MASTER_KEY (or general_settings.master_key), or listen on 127.0.0.1."
  );
}

/** `localhost`, 127.0.0.0/8 and ::1, as a host to listen on. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  return bare === "localhost" || bare === "::1" || /^127(\.\d{1,3}){3}$/.test(bare);
}
