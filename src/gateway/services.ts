/** The set of services that calls keep from their beginning: built anew for each configuration. */
import type { Config } from "../config/config.ts";
import type { Finding } from "../config/finding.ts";
import { callerDialects } from "../dialects/registry.ts";
import { GatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import { createAuthenticator } from "../pipeline/authenticate.ts";
import { createCallRules } from "../pipeline/rules.ts";
import type { Services } from "../pipeline/services.ts";
import { createProviderClient } from "../providers/client.ts";
import { withMocks } from "../providers/mock.ts";
import { createPassThroughTable } from "../providers/pass-through.ts";
import { findProvider } from "../providers/registry.ts";
import { createTokenSource } from "../providers/signers/tokens.ts";
import { toExperiments } from "../routing/experiments.ts";
import { createRouter } from "../routing/router.ts";
import { createSplit } from "../routing/split.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { GatewayOptions } from "./gateway.ts";
import { toExplorer } from "./learnt-routing.ts";
import { resolveNames } from "./resolve-names.ts";
import { toPolicyRunner, toRouterOptions } from "./router-options.ts";
import type { Shared } from "./shared.ts";

export function createServices(config: Config, shared: Shared, options: GatewayOptions): Services {
  const { clock, random, pool, slot, sessions, telemetry, catalog, survival, ...others } = shared;
  const { explorationBudget, online, learnt, ...kept } = others;
  const { env } = options;
  const { table, factsOf, deployments, findings } = resolveNames(config, env, catalog);
  const refused = findings.filter(({ level }) => level === "error");
  if (refused[0]) throw toConfigError(refused[0], refused.length - 1);
  for (const { message, remedy, path } of findings) {
    telemetry.log("warn", message, { path, remedy });
  }
  warnOfUnpriced(deployments, telemetry);
  const routerOptions = toRouterOptions(config);
  const experiments = toExperiments(config, { dial: routerOptions.dial, slotOf: learnt.slotOf });
  learnt.describe({
    labelMapping: routerOptions.labelMapping,
    prices: Object.fromEntries(
      deployments.flatMap(({ candidate, facts }) =>
        facts.price ? [[candidate, facts.price]] : [],
      ),
    ),
  });
  return {
    ...kept,
    telemetry,
    config,
    ...survival.servicesOf(config),
    clock,
    random,
    pool,
    getDialect: (name) => callerDialects[name],
    authenticator: createAuthenticator(
      config.general.masterKey,
      config.general.keyHeader,
      config.routeiq.keys,
    ),
    table,
    router: createRouter({
      options: routerOptions,
      slot,
      pool,
      sessions,
      clock,
      explorer: toExplorer(config.router.routingStrategyArgs, {
        random,
        budget: explorationBudget,
      }),
      online: online(config),
      split:
        routerOptions.learned || experiments.length > 0
          ? createSplit({ slot, experiments, stops: learnt.experiments, now: clock.now })
          : undefined,
      onRouterFailure(error, router, unit) {
        telemetry.log("error", "the trained router failed; routing was static", { error });
        learnt.routerFailed(router, unit);
      },
    }),
    policy: toPolicyRunner(config, slot, routerOptions),
    checksForm: routerOptions.learned !== undefined && config.routeiq.telemetry.events,
    ...(options.webSockets ? { webSockets: options.webSockets } : {}),
    passThrough: createPassThroughTable({ config, deployments, env }),
    factsOf,
    rules: createCallRules(config),
    client: withMocks(
      createProviderClient({
        outbound: options.outbound,
        findProvider,
        replyLimitBytes: config.general.replyLimitBytes,
        tokens: createTokenSource({
          outbound: options.outbound,
          clock,
          readText: (path) => Bun.file(path).text(),
          env: { ...env, ...config.environment },
        }),
      }),
      clock,
    ),
    onInternalFailure: (error) =>
      telemetry.log("error", "a call failed inside the gateway", { error }),
  };
}

/** Never free in silence: the header is left out, a metric counts, and the log says it once. */
function warnOfUnpriced(deployments: readonly Deployment[], telemetry: Telemetry): void {
  const unpriced = deployments.filter(
    ({ facts, simulated, candidate }) => !facts.price && !simulated && !candidate.includes("*"),
  );
  if (unpriced.length === 0) return;
  telemetry.log("warn", "no price is known of some models; what they cost is not counted", {
    models: [...new Set(unpriced.map(({ candidate }) => candidate))].slice(0, 50).join(", "),
    remedy: "set input_cost_per_token and output_cost_per_token (0 where they are free)",
  });
}

function toConfigError({ file, line, message, remedy }: Finding, more: number): GatewayError {
  const others = more > 0 ? ` (and ${more} more)` : "";
  return new GatewayError("config_invalid", `${file}:${line}: ${message}. ${remedy}${others}`);
}
