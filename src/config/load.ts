/** The operator's files and environment as typed configuration: the one way in. */
import { dirname, join } from "node:path";
import type { TObject } from "@sinclair/typebox";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import { findNearest } from "../std/nearest.ts";
import { readAgentList } from "./agents.ts";
import { assembleConfig, type Sections } from "./assemble.ts";
import type { Config, ModelEntry } from "./config.ts";
import { type DecodeOptions, decodeSection } from "./decode.ts";
import { providersOfEnvironment, reportEnvironment } from "./environment.ts";
import {
  type ConfigPlace,
  configPlaces,
  type Environment,
  type ReadText,
  readTextFile,
} from "./files.ts";
import type { Finding } from "./finding.ts";
import { readFinetuneSettings } from "./finetune.ts";
import { readMcpServers } from "./mcp.ts";
import { type Merged, mergeFiles, type Sourced } from "./merge.ts";
import { readPriceFile } from "./price-file.ts";
import { type ReadOidc, type ResolveOptions, resolveReferences } from "./references.ts";
import { createReport, type Report } from "./report.ts";
import { type RowDefaults, readRowDefaults } from "./row-defaults.ts";
import {
  createSecretReader,
  type OpenSecretStore,
  type ReadSecret,
  secretSystems,
  unservedSecretSystems,
} from "./secret-store.ts";
import { GeneralSettings } from "./sections/general-settings.ts";
import {
  litellmGeneralKeys,
  litellmModelInfoKeys,
  litellmModuleKeys,
  litellmParamKeys,
  litellmRouterKeys,
  litellmTopLevelKeys,
  usualBodyFields,
} from "./sections/known-keys.ts";
import { LitellmSettings } from "./sections/litellm-settings.ts";
import { LitellmParams, ModelInfo } from "./sections/model-list.ts";
import { RouteiqSettings } from "./sections/routeiq-settings.ts";
import { RouterSettings } from "./sections/router-settings.ts";
import { olderStrategyArgs } from "./sections/routing-strategy-args.ts";
import { readVectorRegistry } from "./vector-registry.ts";
import { emptySource, type Path, type Spot } from "./yaml.ts";

export interface LoadOptions {
  /** `--config`. */
  readonly path?: string | undefined;
  readonly cwd: string;
  readonly env: Environment;
  readonly readText?: ReadText;
  readonly readOidc?: ReadOidc;
  /** Missing: secrets are where references say, and nowhere else. */
  readonly openSecretStore?: OpenSecretStore;
}

export interface Loaded {
  /** Undefined where a finding is an error. */
  readonly config: Config | undefined;
  readonly findings: readonly Finding[];
  /** What was looked for and read to make it, whether it was there or not: when that changes, it may. */
  readonly reads: readonly string[];
  /** Where a key stands, for rules that span keys: `["router_settings", "routing_strategy"]`. */
  readonly spot: (path: Path) => Spot;
}

export const sectionNames = [
  "router_settings",
  "general_settings",
  "litellm_settings",
  "routeiq_settings",
  "environment_variables",
] as const;

/** Never rejects: what is wrong is a finding. Reads the file anew each time. */
export async function loadConfig(options: LoadOptions): Promise<Loaded> {
  const report = createReport();
  const reads = new Set<string>();
  const readText: ReadText = (path) => {
    reads.add(path);
    return (options.readText ?? readTextFile)(path);
  };
  const found = await findFile(
    configPlaces(options.path, options.cwd, options.env),
    readText,
    report,
  );
  const merged = found
    ? await mergeFiles(found.path, found.text, { readText, report })
    : { files: [], rows: [], sections: new Map<string, Sourced>() };
  const spot = (path: Path) => locate(merged, path);
  const told = () => ({ findings: report.findings, reads: [...reads], spot });
  if (hasErrors(report)) return { config: undefined, ...told() };

  const environment = await readEnvironmentVariables(merged, { ...options, readText, report });
  const env = { ...options.env, ...environment };
  const plain = { env, readText, report, readOidc: options.readOidc };
  const readSecret = openSecrets(merged, options.openSecretStore, plain);
  const resolve = { ...plain, readSecret };
  const defaults = await readRowDefaults(merged, resolve);
  const rows = merged.rows.map((row) => decodeRow(row, defaults, resolve));
  const sections = await decodeSections(merged, resolve);
  const written = (await Promise.all(rows)).filter((row) => row !== undefined);
  const fromEnvironment = found ? [] : providersOfEnvironment(env);
  const priceSpot = spot(["routeiq_settings", "price_file"]);
  const prices = await readPriceFile(sections.routeiq.price_file, {
    ...resolve,
    spot: priceSpot,
    folder: dirname(merged.files[0] ?? join(options.cwd, "config.yaml")),
  });
  const mcpServers = await readMcpServers(merged.sections.get("mcp_servers"), resolve);
  const config = assembleConfig({
    prices,
    mcpServers,
    models: found ? written : fromEnvironment,
    agents: await readAgentList(merged.sections.get("agent_list"), resolve),
    finetune: await readFinetuneSettings(merged.sections.get("finetune_settings"), resolve),
    vectorRegistry: await readVectorRegistry(
      merged.sections.get("vector_store_registry"),
      merged.sections.get("credential_list"),
      resolve,
    ),
    sections,
    environment,
    env,
    files: merged.files,
    origin: found ? "file" : fromEnvironment.length > 0 ? "environment" : "simulated",
  });
  reportEnvironment(env, report);
  return { config: hasErrors(report) ? undefined : config, ...told() };
}

const hasErrors = (report: Report) => report.findings.some(({ level }) => level === "error");

async function findFile(places: readonly ConfigPlace[], readText: ReadText, report: Report) {
  for (const { path, namedBy } of places) {
    const spot = { source: emptySource(path), path: [] };
    try {
      const text = await readText(path);
      if (text !== undefined) return { path, text };
      if (namedBy)
        report.refuse(spot, `${path} (from ${namedBy}) does not exist`, "Name a file that does.");
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      report.refuse(spot, why, "Name a YAML file that this user can read.");
    }
  }
  return undefined;
}

/** The nearest thing to a path that some file has. Rows count over all files. */
function locate(merged: Merged, path: Path): Spot {
  const [key, index, ...rest] = path;
  const row = key === "model_list" && typeof index === "number" ? merged.rows[index] : undefined;
  if (row) return { source: row.spot.source, path: [...row.spot.path, ...rest] };
  const section = merged.sections.get(String(key));
  if (section) return { source: section.spot.source, path };
  return { source: emptySource(merged.files[0] ?? "environment"), path };
}

type Resolve = ResolveOptions;

async function readEnvironmentVariables(merged: Merged, resolve: Resolve) {
  const section = merged.sections.get("environment_variables");
  if (!section || section.value === null) return {};
  const { report } = resolve;
  if (!isObject(section.value)) {
    report.refuse(
      section.spot,
      "environment_variables must be a map",
      "Write NAME: value below it.",
    );
    return {};
  }
  const value = await resolveReferences(section.value, section.spot, resolve);
  const entries = Object.entries((value ?? {}) as JsonObject);
  const texts: Record<string, string> = {};
  for (const [name, text] of entries) {
    if (typeof text === "object" && text !== null) {
      const spot = { ...section.spot, path: [...section.spot.path, name] };
      report.refuse(spot, `${name} must be text`, "An environment variable holds text.");
    } else if (text !== null && text !== undefined) texts[name] = pythonText(text);
  }
  return texts;
}

const secretKeys = ["key_management_system", "key_management_settings"] as const;

/** The store that `general_settings` names; its own settings come from the environment alone. */
function openSecrets(
  merged: Merged,
  open: OpenSecretStore | undefined,
  { env, report }: ResolveOptions,
): ReadSecret | undefined {
  const section = merged.sections.get("general_settings");
  if (!open || !section || !isObject(section.value)) return undefined;
  const [system, settings] = secretKeys.map((key) => (section.value as JsonObject)[key]);
  if (system === undefined || system === null || system === "local") return undefined;
  const spot = { ...section.spot, path: [...section.spot.path, secretKeys[0]] };
  const served = secretSystems.find((each) => each === system);
  if (!served) {
    const known = unservedSecretSystems.includes(String(system));
    const message = known
      ? `the secret store "${system}" is not served by RouteIQ`
      : `there is no secret store "${String(system).slice(0, 60)}"`;
    report.refuse(spot, message, `Use one of ${secretSystems.join(", ")}, or the environment.`);
    return undefined;
  }
  try {
    const written = isObject(settings) ? (settings as JsonObject) : {};
    return createSecretReader({ system: served, settings: written, env }, open);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    report.refuse(spot, why, "Set it, or remove key_management_system.");
    return undefined;
  }
}

/** LiteLLM exports `str(value)`; Python writes True and False. */
const pythonText = (value: Json) =>
  value === true ? "True" : value === false ? "False" : String(value);

async function decodeRow(
  { value, spot }: Sourced,
  defaults: RowDefaults,
  resolve: Resolve,
): Promise<ModelEntry | undefined> {
  const { report } = resolve;
  const row = await resolveReferences(value, spot, resolve);
  const at = (key: string): Spot => ({ ...spot, path: [...spot.path, key] });
  if (!isObject(row)) {
    report.refuse(
      spot,
      "a row of model_list must be a map",
      "Write model_name and litellm_params in it.",
    );
    return undefined;
  }
  for (const key of Object.keys(row)) {
    if (rowKeys.includes(key)) continue;
    const near = findNearest(key, rowKeys);
    const remedy = near
      ? `Did you mean "${near}"?`
      : "Keys of the model itself belong under litellm_params.";
    report.warn(at(key), `unknown key "${key}" in a row of model_list`, remedy);
  }
  const name = row["model_name"];
  if ((typeof name !== "string" && typeof name !== "number") || String(name).trim() === "") {
    report.refuse(
      at("model_name"),
      "the row has no model_name",
      "Write the name that callers ask for.",
    );
  }
  const params = row["litellm_params"];
  if (!isObject(params) || typeof params["model"] !== "string" || params["model"].trim() === "") {
    const remedy = 'Write litellm_params: {model: "openai/gpt-4o"}, say.';
    report.refuse(at("litellm_params"), "the row has no litellm_params.model", remedy);
    return undefined;
  }
  const whole = defaults.complete(params, at("litellm_params"));
  const decoded = decodeSection(LitellmParams, whole, at("litellm_params"), report, {
    litellm: litellmParamKeys,
    usual: usualBodyFields,
    keepUnknown: "it goes to the provider as a field of the body",
  });
  const info = decodeSection(
    ModelInfo,
    (row["model_info"] ?? {}) as Json,
    at("model_info"),
    report,
    {
      litellm: litellmModelInfoKeys,
      keepUnknown: "it is kept and means nothing here",
    },
  );
  return {
    modelName: String(name),
    params: decoded as ModelEntry["params"],
    info: info as JsonObject,
    file: spot.source.file,
    line: spot.source.lineOf(spot.path),
  };
}

const rowKeys = ["model_name", "litellm_params", "model_info"];

async function decodeSections(merged: Merged, resolve: Resolve): Promise<Sections> {
  const { report } = resolve;
  for (const [key, { spot }] of merged.sections) tellUnknownTop(key, spot, report);
  const read = async <S extends TObject>(name: string, schema: S, options: DecodeOptions) => {
    const section = merged.sections.get(name);
    const spot = section?.spot ?? locate(merged, [name]);
    const value = section?.value ? await resolveReferences(section.value, spot, resolve) : {};
    return {
      value: (value ?? {}) as Json,
      decoded: decodeSection(schema, value ?? {}, spot, report, options),
    };
  };
  const litellm = await read("litellm_settings", LitellmSettings, { litellm: litellmModuleKeys });
  const routerKeys = new Set([...litellmRouterKeys, ...olderStrategyArgs]);
  return {
    router: (await read("router_settings", RouterSettings, { litellm: routerKeys })).decoded,
    general: (await read("general_settings", GeneralSettings, { litellm: litellmGeneralKeys }))
      .decoded,
    litellm: litellm.decoded,
    litellmRaw: isObject(litellm.value) ? litellm.value : {},
    routeiq: (await read("routeiq_settings", RouteiqSettings, {})).decoded,
  };
}

/** Keys at the top that have readers of their own. */
const ownReaders = [
  "credential_list",
  "mcp_servers",
  "agent_list",
  "finetune_settings",
  "vector_store_registry",
];

/** `x-…` and `.…` keys are a known way to hold YAML anchors. */
function tellUnknownTop(key: string, spot: Spot, report: Report): void {
  if ((sectionNames as readonly string[]).includes(key) || /^(x-|\.)/.test(key)) return;
  if (ownReaders.includes(key)) return;
  if (litellmTopLevelKeys.has(key)) {
    const message = `"${key}" is known to LiteLLM, not used by RouteIQ yet`;
    report.warn(spot, message, "It has no effect here. Keep it for LiteLLM, or remove it.");
    return;
  }
  const near = findNearest(key, ["model_list", "include", ...ownReaders, ...sectionNames]);
  const remedy = near
    ? `Did you mean "${near}"? Else remove it.`
    : "Remove it, or see docs/configuration.md.";
  report.warn(spot, `unknown key "${key}" at the top of the file`, remedy);
}
