/** Rules that span keys, and those that need to know what this binary serves. */
import type { Loaded } from "../load.ts";
import { createReport } from "../report.ts";
import { checkAddresses } from "./check-addresses.ts";
import { checkExperiments } from "./check-experiments.ts";
import { checkKeys } from "./check-keys.ts";
import { checkAliases, checkAutoModels, checkFallbacks } from "./check-names.ts";
import { checkAgents, checkPlaces, checkVectorStores } from "./check-places.ts";
import { checkShadow, checkStrategy } from "./check-strategy.ts";
import type { Check, CheckOptions } from "./rule.ts";

/** All findings of a loaded configuration: those of loading, then those of these rules. */
export function checkConfig(loaded: Loaded, options: CheckOptions): Loaded {
  const { config, spot } = loaded;
  if (!config) return loaded;
  const report = createReport();
  report.add(...loaded.findings);
  const check = { config, report, spot, ...options };
  checkModels(check);
  checkStrategy(check);
  checkShadow(check);
  checkExperiments(check);
  checkFallbacks(check);
  checkAliases(check);
  checkAutoModels(check);
  checkEmbedding(check);
  checkAddresses(check);
  checkAgents(check);
  checkVectorStores(check);
  checkPlaces(check);
  checkMasterKey(check);
  checkKeys(check);
  const refused = report.findings.some(({ level }) => level === "error");
  return { ...loaded, config: refused ? undefined : config, findings: report.findings };
}

function checkModels({ config, report, spot }: Check): void {
  if (config.models.length === 0 && config.origin === "file") {
    const remedy = "Add a row: {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o}}.";
    report.warn(spot(["model_list"]), "no models are configured, so every call is refused", remedy);
  }
  const ids = new Map<string, number>();
  const rows = new Map<string, number>();
  config.models.forEach((model, index) => {
    const id = model.info["id"];
    const same = JSON.stringify([model.modelName, model.params, id]);
    const twin = rows.get(same);
    if (twin !== undefined) {
      const message = `the same as row ${twin}: "${model.modelName}" stands here twice`;
      report.warn(spot(["model_list", index]), message, "Remove one of the two.");
    }
    rows.set(same, index);
    if (typeof id !== "string") return;
    const holder = ids.get(id);
    if (holder !== undefined && twin === undefined) {
      const message = `model_info.id "${id}" is row ${holder}'s already`;
      report.refuse(
        spot(["model_list", index, "model_info", "id"]),
        message,
        "Ids name one deployment each.",
      );
    }
    ids.set(id, index);
  });
}

/** A decision that cannot be made is refused now, not at the first call. */
function checkEmbedding({ config, report, spot }: Check): void {
  const { model, onnxPath } = config.routeiq.embedding;
  if (!model) return;
  const at = (key: string) => spot(["routeiq_settings", "embedding", key]);
  if (onnxPath !== undefined) {
    const message = "both a model and an onnx_path are named; queries have one embedder";
    report.refuse(at("model"), message, "Remove one of the two.");
  }
  if (model.dimensions === 0) {
    const message = `how long the vectors of "${model.name}" are is not said`;
    report.refuse(at("model"), message, "Write dimensions: 768 (or what it is) beside it.");
  }
  const names = config.models.map(({ modelName }) => modelName);
  if (names.includes(model.name) || names.some((name) => name.includes("*"))) return;
  report.refuse(
    at("model"),
    `"${model.name}" is no model_name, so no query could be embedded`,
    "Add a row for it to model_list, with model_info: {mode: embedding}.",
  );
}

const weakKeys: ReadonlySet<string> = new Set([
  "sk-1234",
  "sk-12345",
  "sk-123456",
  "sk-test",
  "changeme",
  "password",
]);
const weakKeyLength = 12;

function checkMasterKey({ config, report, spot }: Check): void {
  const { masterKey } = config.general;
  if (masterKey === undefined) return;
  if (!weakKeys.has(masterKey) && masterKey.length >= weakKeyLength) return;
  const remedy = 'Make one: echo "sk-$(openssl rand -hex 24)".';
  report.warn(spot(["general_settings", "master_key"]), "the master key is easy to guess", remedy);
}
