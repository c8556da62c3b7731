/** Rules of addresses: what stands in the file may be private, but must be one. */
import { toGatewayError } from "../../domain/errors.ts";
import { parseRange } from "../../security/address.ts";
import { checkUrl } from "../../security/ssrf.ts";
import type { Path } from "../yaml.ts";
import type { Check } from "./rule.ts";

const noRules = { ranges: [], hosts: [] };

/** What stands in the file may be private; it must be an address, and never a metadata service. */
export function checkAddresses({ config, report, spot }: Check): void {
  const refuse = (text: unknown, path: Path, remedy: string) => {
    if (typeof text !== "string") return;
    try {
      checkUrl(text, "operator", noRules);
    } catch (thrown) {
      report.refuse(spot(path), toGatewayError(thrown).message, remedy);
    }
  };
  config.models.forEach(({ params }, index) => {
    for (const key of ["api_base", "base_url"]) {
      const remedy = "Write the provider's base URL: https://host/v1.";
      refuse(params[key], ["model_list", index, "litellm_params", key], remedy);
    }
  });
  for (const { name, url, openapi } of config.mcpServers) {
    if (openapi && !openapi.isFile) {
      const remedy = "Write the document's URL: https://host/openapi.json.";
      refuse(openapi.source, ["mcp_servers", name, "openapi"], remedy);
    }
    refuse(url, ["mcp_servers", name, "url"], "Write the server's URL: https://host/mcp.");
  }
  const { oauth, publicUrl } = config.routeiq.mcp;
  oauth.forEach(({ issuer, audiences, jwksUrl, introspectionUrl }, index) => {
    const at: Path = ["routeiq_settings", "mcp", "oauth", index];
    const remedy = "Write an address: https://login.example.";
    refuse(issuer, [...at, "issuer"], remedy);
    refuse(jwksUrl, [...at, "jwks_url"], remedy);
    refuse(introspectionUrl, [...at, "introspection_url"], remedy);
    if (audiences !== undefined || publicUrl !== undefined) return;
    const message = "nothing says what this issuer's tokens must be made for";
    report.refuse(spot(at), message, "Write routeiq_settings.mcp.public_url, or audience here.");
  });
  const { telemetry, outbound, corsOrigins } = config.routeiq;
  const otlp: Path = ["routeiq_settings", "telemetry", "otlp_endpoint"];
  refuse(telemetry.otlpEndpoint, otlp, "Write the collector's URL: http://host:4318.");
  outbound.allowCidrs.forEach((cidr, index) => {
    if (parseRange(cidr)) return;
    const at = spot(["routeiq_settings", "outbound", "allow_cidrs", index]);
    report.refuse(at, `"${cidr}" is no address range`, "Write one such as 10.1.0.0/16.");
  });
  corsOrigins.forEach((origin, index) => {
    if (origin === "*" || (URL.canParse(origin) && new URL(origin).origin === origin)) return;
    const at = spot(["routeiq_settings", "cors_origins", index]);
    const meant = URL.canParse(origin) ? new URL(origin).origin : "null";
    const remedy = meant === "null" ? "Write one such as https://app.example." : `Write ${meant}.`;
    report.refuse(at, `"${origin}" is no origin, so no page could match it`, remedy);
  });
}
