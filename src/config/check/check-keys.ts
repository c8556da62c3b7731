/** Rules of `routeiq_settings.keys` that span keys. */

import { keyNamePattern } from "../sections/key-settings.ts";
import type { Check } from "./rule.ts";

export function checkKeys({ config, report, spot }: Check): void {
  const keys = Object.entries(config.routeiq.keys);
  const { masterKey } = config.general;
  if (keys.length > 0 && masterKey === undefined) {
    const remedy = "Set LITELLM_MASTER_KEY, or general_settings.master_key.";
    const why = "without a master key every caller is administrator, so keys would close nothing";
    report.refuse(spot(["routeiq_settings", "keys"]), why, remedy);
  }
  const known = new Map<string, string>();
  if (masterKey !== undefined) known.set(masterKey, "the master key");
  for (const [name, { apiKey }] of keys) {
    if (!keyNamePattern.test(name)) {
      const remedy = "Use letters, digits, _, - and ., at most 64.";
      report.refuse(
        spot(["routeiq_settings", "keys", name]),
        "the name is not one of a key",
        remedy,
      );
    }
    if (apiKey === "") {
      const remedy = "Write api_key: os.environ/NAME, and set NAME.";
      report.refuse(spot(["routeiq_settings", "keys", name]), "it has no api_key", remedy);
      continue;
    }
    const same = known.get(apiKey);
    if (same !== undefined) {
      const at = spot(["routeiq_settings", "keys", name, "api_key"]);
      report.refuse(at, `it is the same as ${same}`, "Give every key a value of its own.");
    }
    known.set(apiKey, `that of '${name}'`);
  }
}
