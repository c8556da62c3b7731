/** Rules of places and names beside models: folders, buckets, backends of vector stores, agents' models. */
import { rankNearest } from "../../std/nearest.ts";
import type { Path } from "../yaml.ts";
import { groupsOf, tellUnreachable } from "./check-names.ts";
import type { Check } from "./rule.ts";

export function checkAgents(check: Check): void {
  const groups = groupsOf(check.config);
  check.config.agents.forEach(({ model }, index) => {
    if (model === undefined) return;
    tellUnreachable(model, check.spot(["agent_list", index, "model"]), check, groups);
  });
}

export function checkVectorStores(check: Check): void {
  const { embeddingModel, backend, backends } = check.config.routeiq.vectorStores;
  const at = (key: string) => check.spot(["routeiq_settings", "vector_stores", key]);
  if (embeddingModel !== undefined) {
    tellUnreachable(embeddingModel, at("embedding_model"), check, groupsOf(check.config));
  }
  if (backend === undefined || Object.hasOwn(backends, backend)) return;
  const names = Object.keys(backends);
  const near = rankNearest(backend, names, 3).join(", ");
  const remedy = near
    ? `Nearest: ${near}.`
    : "Describe it below backends: {provider: pgvector, url: …}, or remove this line.";
  check.report.refuse(at("backend"), `"${backend}" is none of the backends`, remedy);
}

const placeRemedy = "Write a folder, file:///… or s3://bucket/prefix.";

export function checkPlaces({ config, report, spot, exists }: Check): void {
  const { telemetry, experimentFigures, skills, embedding } = config.routeiq;
  const places: readonly (readonly [string | undefined, Path])[] = [
    [telemetry.export?.to, ["routeiq_settings", "telemetry", "export", "to"]],
    [experimentFigures, ["routeiq_settings", "experiment_figures"]],
  ];
  for (const [place, path] of places) {
    const problem = place === undefined ? undefined : findPlaceProblem(place);
    if (problem !== undefined) report.refuse(spot(path), problem, placeRemedy);
  }
  if (!exists) return;
  const { folder } = skills;
  if (folder !== undefined && !exists(folder)) {
    const remedy = "Create it, with a folder per skill (docs/skills.md), or mend the path.";
    report.warn(spot(["routeiq_settings", "skills", "folder"]), `${folder} does not exist`, remedy);
  }
  const { onnxPath } = embedding;
  if (onnxPath !== undefined && !exists(onnxPath)) {
    const remedy = "Name the folder that holds model.onnx and tokenizer.json.";
    const at = spot(["routeiq_settings", "embedding", "onnx_path"]);
    report.refuse(at, `${onnxPath} does not exist`, remedy);
  }
}

/** What is wrong with an address of a folder or a bucket, as far as its form shows it. */
export function findPlaceProblem(place: string): string | undefined {
  if (/^s3:\/\/[a-z0-9][a-z0-9.-]*(\/|$)/i.test(place)) return undefined;
  if (place.startsWith("s3://")) return `"${place}" names no bucket`;
  if (/^(s3|file|gs|gcs|https?)(:\/?(?!\/)|\/\/)/i.test(place) && !place.startsWith("file:/")) {
    return `"${place}" is written like an address and is none`;
  }
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(place)?.[1];
  if (scheme === undefined || scheme === "file") return undefined;
  return `"${place}": ${scheme} is no place that can be read from and written to`;
}
