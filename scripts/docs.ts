/** The documents that come from code: configuration, errors, command line, HTTP routes, providers. */
import { Kind, type TObject, type TSchema } from "@sinclair/typebox";
import type { Command } from "../src/cli/command.ts";
import { flagForm } from "../src/cli/help.ts";
import { globalFlags } from "../src/cli/parse.ts";
import { commands } from "../src/cli/registry.ts";
import { expectation } from "../src/config/decode.ts";
import { knownProviders } from "../src/config/environment.ts";
import { GeneralSettings } from "../src/config/sections/general-settings.ts";
import {
  litellmGeneralKeys,
  litellmModelInfoKeys,
  litellmModuleKeys,
  litellmParamKeys,
  litellmRouterKeys,
  litellmTopLevelKeys,
} from "../src/config/sections/known-keys.ts";
import { LitellmSettings } from "../src/config/sections/litellm-settings.ts";
import { ModelRow } from "../src/config/sections/model-list.ts";
import { RouteiqSettings } from "../src/config/sections/routeiq-settings.ts";
import { RouterSettings } from "../src/config/sections/router-settings.ts";
import { type ErrorRow, errorTable } from "../src/domain/errors.ts";
import { callRoutes } from "../src/http/call-routes.ts";
import { slowRouteTable } from "../src/http/slow-routes.ts";
import { surfaces } from "../src/http/surfaces.ts";
import { notServedYet, providers } from "../src/providers/registry.ts";
import { knownNames } from "../src/routing/known-names.ts";
import { unreadParts } from "./unread-parts.ts";

/** Path below the root → text. */
export async function generateDocs(): Promise<Readonly<Record<string, string>>> {
  const loaded = await Promise.all(Object.values(commands).map((load) => load()));
  return {
    "docs/configuration.md": configurationDoc(),
    "docs/errors.md": errorsDoc(),
    "docs/cli.md": cliDoc(loaded),
    "docs/http.md": httpDoc(),
    "docs/providers.md": providersDoc(),
    "docs/surfaces.md": surfacesDoc(),
  };
}

const generated = "<!-- Made by `npm run gen`. Change the code it comes from, not this file. -->";

function page(title: string, ...parts: readonly string[]): string {
  return `${[`# ${title}`, generated, ...parts].join("\n\n").trimEnd()}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeCell).join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}

const escapeCell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function configurationDoc(): string {
  return page(
    "Configuration",
    "One YAML file in LiteLLM's form. It is taken from `--config`, `ROUTEIQ_CONFIG`, " +
      "`LITELLM_CONFIG_PATH`, `./config.yaml`, `/app/config/config.yaml`, the first that is there. " +
      "`routeiq config check FILE` says what is wrong or doubtful, with line and remedy. " +
      "`POST /config/reload` or SIGHUP takes a changed file into service whole, or keeps the old one.",
    "- An unknown key is a warning with the nearest known name; a known key with a wrong value refuses the file.\n" +
      "- `os.environ/NAME` is replaced by that variable; `file:///path` in a key that holds a secret by that file's text.\n" +
      "- `include: [more.yaml]` reads further files, relative to this one: lists grow, other keys are overwritten.\n" +
      "- `environment_variables: {NAME: value}` stand above the process environment.\n" +
      '- Text that means a boolean or a number (`"True"`, `"600"`) is read as such.',
    section("model_list", "A list of rows:", ModelRow),
    section("router_settings", "", RouterSettings),
    `Balancers: ${code(knownNames.balancers)}.\n\nLearned strategies: ${code(knownNames.strategies)}.`,
    section("general_settings", "", GeneralSettings),
    section("litellm_settings", "", LitellmSettings),
    section("routeiq_settings", "", RouteiqSettings),
    "## Environment",
    table(["variable", "means"], environmentRows),
    "## Without a file",
    "Providers are taken from the keys that are set; without any, simulated providers answer, and say so.",
    table(
      ["key", "models", "and all others as"],
      knownProviders.map(({ prefix, keys, models, embeddings = [] }) => [
        code(keys),
        code([...models, ...embeddings]) || "–",
        `\`${prefix}/…\``,
      ]),
    ),
    "## Known to LiteLLM, not used yet",
    "These are told apart from unknown keys, and have no effect.",
    `- at the top: ${code(litellmTopLevelKeys)}\n` +
      `- \`litellm_params\`: ${code(litellmParamKeys)}\n` +
      `- \`model_info\`: ${code(litellmModelInfoKeys)}\n` +
      `- \`router_settings\`: ${code(litellmRouterKeys)}\n` +
      `- \`general_settings\`: ${code(litellmGeneralKeys)}\n` +
      `- \`litellm_settings\`: ${code(litellmModuleKeys)}`,
  );
}

function surfacesDoc(): string {
  return page(
    "Surfaces",
    "What may be asked of the gateway, and what holds for it. `test/surfaces.test.ts` walks this table " +
      "against a running gateway: every surface refuses a request without a key, keeps its limits, leaves " +
      "its receipt and is counted. A route that belongs to no row fails the test.",
    "A *receipt* is read at `GET /v1/routing/decisions/{x-routeiq-call-id}` and rests in the event log; " +
      "requests that only read kept things are counted and leave none. A *limit* of a caller's rate or " +
      "budget, where one is set, holds for the calls of models wherever they come from: a batch's lines, " +
      "a run's steps, a published agent's answers are calls of their caller.",
    table(
      ["surface", "paths", "auth", "limits", "receipt", "telemetry", "money"],
      surfaces.map((row) => [
        row.name,
        code(row.paths),
        row.auth,
        row.limits,
        row.receipt,
        row.telemetry,
        row.money,
      ]),
    ),
  );
}

const code = (words: Iterable<string>) => [...words].map((word) => `\`${word}\``).join(", ");

/** How a dialect is called in prose. */
const spoken: Readonly<Record<string, string>> = {
  "openai-chat": "OpenAI's chat",
  "openai-completions": "OpenAI's completions",
  "openai-responses": "OpenAI's Responses",
  anthropic: "Anthropic's Messages",
  gemini: "Gemini's generateContent",
  "bedrock-converse": "Bedrock's Converse",
  cohere: "Cohere's v2",
  ollama: "Ollama's own",
};

const otherKeys: Readonly<Record<string, string>> = { bedrock: ", or AWS credentials" };

function providersDoc(): string {
  const rows = providers.map(
    ({ name, aliases = [], dialect, auth, baseUrl, baseUrlEnv = [], paths, source, locate }) => [
      code([name, ...aliases]),
      spoken[dialect.name] ?? dialect.name,
      Object.keys(paths).join(", "),
      (auth.kind === "none" ? "" : code(auth.env) + (otherKeys[name] ?? "")) || "–",
      [baseUrl, code(baseUrlEnv)].filter(Boolean).join(" or ") ||
        (locate ? "the region's own" : "`api_base`"),
      source,
    ],
  );
  return page(
    "Providers",
    "What stands before the `/` of `litellm_params.model`. A caller of any dialect reaches any of " +
      "them: where both sides speak the same, bytes pass; where they do not, requests, answers and " +
      "streams are translated. Responses and text completions are carried over chat where a provider " +
      "has no API for them.",
    table(["prefix", "speaks", "serves", "key", "address", "source"], rows),
    "## Known to LiteLLM, not served yet",
    `A deployment that names one of these is off, with a warning: ${code(notServedYet)}.`,
  );
}

const environmentRows: readonly (readonly [string, string])[] = [
  [
    "`LITELLM_MASTER_KEY`",
    "The administrator's key where `general_settings.master_key` is not set.",
  ],
  ["`ADMIN_API_KEYS`, `ADMIN_API_KEY`", "Further keys for admin routes, by comma."],
  ["`LITELLM_HOST`, `PORT`", "Where to listen, where no flag says it."],
  ["`ROUTEIQ_DATA_DIR`", "Where state is kept. Default `./.routeiq`."],
  ["`LLMROUTER_MODEL_PATH`", "`routing_strategy_args.model_path` where the file has none."],
  [
    "`LLMROUTER_ALLOW_PICKLE_MODELS`",
    "`true`: a predecessor's file at `model_path` is read as data and converted at start ([migrating](migrating.md)).",
  ],
  [
    "`LLMROUTER_MODEL_MANIFEST_PATH`, `LLMROUTER_MODEL_PUBLIC_KEY_B64`, `LLMROUTER_MODEL_PUBLIC_KEY_PATH`, `LLMROUTER_MODEL_HMAC_SECRET`",
    "The signed manifest that must list such a file, and what it is verified by.",
  ],
  [
    "`LLMROUTER_ENFORCE_SIGNED_MODELS`, `LLMROUTER_STRICT_PICKLE_MODE`, `LLMROUTER_PICKLE_ALLOWLIST`",
    "Such a file without a manifest is refused, but for these hashes.",
  ],
  ["`LLMROUTER_MODEL_S3_BUCKET`, `LLMROUTER_MODEL_S3_KEY`", "The same as an `s3://` path."],
  [
    "`LLMROUTER_OUTBOUND_CIDR_ALLOWLIST`, `LLMROUTER_OUTBOUND_HOST_ALLOWLIST`",
    "Added to `routeiq_settings.outbound`.",
  ],
  [
    "`LLMROUTER_OUTBOUND_ALLOW_PRIVATE`",
    "Opens the private ranges to addresses out of requests; metadata services never.",
  ],
  [
    "`ROUTEIQ_MAX_CONCURRENT_REQUESTS`",
    "Calls in the gateway at once, where the file says nothing (`routeiq_settings.concurrency.max_calls`).",
  ],
  ["`ROUTEIQ_DRAIN_TIMEOUT_SECONDS`", "How long streams may finish after SIGTERM."],
  [
    "`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER_ARG`, `OTEL_SDK_DISABLED`",
    "OpenTelemetry's own, where `routeiq_settings.telemetry` says nothing. OTLP over HTTP.",
  ],
  [
    "`GCE_METADATA_HOST`",
    "Vertex AI: another address of Google's metadata service, as Google's own libraries read it.",
  ],
  [
    "`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`",
    "A proxy for what goes out. Addresses are checked all the same, but it is the proxy that resolves and connects.",
  ],
  ["`ROUTEIQ_LOG_LEVEL`, `LITELLM_LOG`", "`debug`, `info`, `warn` or `error`."],
  ["`ROUTEIQ_LOG_FORMAT`", "`json` or `pretty`. Default: words on a terminal, JSON elsewhere."],
  ["`ROUTEIQ_DEBUG`", "Commands that fail show the stack."],
];

function section(name: string, lead: string, schema: TObject): string {
  const description = schema.description ?? "";
  const text = [`## ${name}`, [lead, description].filter(Boolean).join(" ")]
    .filter(Boolean)
    .join("\n\n");
  return `${text}\n\n${table(["key", "value", "default", "means"], rowsOf(schema, ""))}`;
}

function rowsOf(schema: TObject, prefix: string): string[][] {
  return Object.entries(schema.properties).flatMap(([key, property]) => {
    const name = `${prefix}${key}`;
    const inner = property[Kind] === "Object" ? rowsOf(property as TObject, `${name}.`) : [];
    const value = inner.length > 0 ? "keys below" : expectation(property);
    return [[`\`${name}\``, value, defaultOf(property), property.description ?? ""], ...inner];
  });
}

function defaultOf(schema: TSchema): string {
  if (schema.default === undefined || schema[Kind] === "Object") return "";
  return `\`${JSON.stringify(schema.default)}\``;
}

const retryWords: Readonly<Record<ErrorRow["retry"], string>> = {
  never: "no",
  elsewhere: "on another deployment",
  again: "on the same or another deployment",
};

function errorsDoc(): string {
  const rows = Object.entries(errorTable as Readonly<Record<string, ErrorRow>>);
  return page(
    "Errors",
    'In the caller\'s dialect. OpenAI: `{"error": {"message", "type", "param", "code"}}`, all four present. ' +
      'Anthropic: `{"type": "error", "error": {"type", "message"}}`. Admin routes: `{"detail": {"error", "message", "request_id"}}`. ' +
      "429 and 503 carry `Retry-After`; `x-should-retry: false` says that the gateway has tried enough. " +
      "A provider's own code and status stand where it sent them.",
    table(
      ["code", "status", "type", "at fault", "tried again by the gateway", "means"],
      rows.map(([name, { status, type, fault, retry, means }]) => [
        `\`${name}\``,
        String(status),
        `\`${type}\``,
        fault,
        retryWords[retry],
        means,
      ]),
    ),
  );
}

function cliDoc(loaded: readonly Command[]): string {
  return page(
    "Command line",
    "`routeiq [command] [flags]`; without a command: `serve`. Flags stand before or after arguments, as " +
      "`--flag value` or `--flag=value`. Exit codes: 0 ok, 1 failed, 2 wrong usage, 130 interrupted. " +
      "Every command takes `--help` and `--json`; with the latter, what it finds is JSON on standard output.",
    table(
      ["command", "does"],
      loaded.map(({ name, summary }) => [`[\`${name}\`](#${name.replaceAll(" ", "-")})`, summary]),
    ),
    ...loaded.map(commandDoc),
  );
}

function commandDoc(command: Command): string {
  const args = Object.entries(command.args ?? {});
  const usage = ["routeiq", command.name, ...args.map(([name]) => name), "[flags]"].join(" ");
  const flags = Object.entries(command.flags ?? {}).filter(
    ([name]) => !Object.hasOwn(globalFlags, name),
  );
  const rows = [
    ...args.map(([name, text]) => [`\`${name}\``, text]),
    ...flags.map(([name, flag]) => [`\`${flagForm(name, flag)}\``, flag.description]),
  ];
  const parts = [`## ${command.name}`, command.summary, `\`${usage}\``];
  if (rows.length > 0) parts.push(table(["", "means"], rows));
  parts.push(`\`\`\`sh\n${command.example}\n\`\`\``);
  return parts.join("\n\n");
}

function httpDoc(): string {
  const parts = unreadParts();
  const routes = slowRouteTable(parts);
  const hot = [
    ...callRoutes(parts.responses).map(({ paths, docs: { summary, templates = [] } }) => {
      return ["POST", [...paths, ...templates].join("`, `"), summary] as const;
    }),
    [
      "any",
      "/openai/v1/*`, `/openai/*?api-version=",
      "Azure's forms of the same: a model that is configured here is answered here; any other, and what has no model, takes the way through to OpenAI where that is open.",
    ],
    [
      "any",
      "/openai/*`, `/anthropic/*`, `/gemini/*`, `/{provider}/*",
      "The provider's own API, with the provider's key for the gateway's. Open where the provider's key (or base) is in the environment, or a model says `use_in_pass_through`.",
    ],
    [
      "any",
      "general_settings.pass_through_endpoints",
      "The operator's own ways through, above every other path.",
    ],
  ] as const;
  return page(
    "HTTP",
    "Who may call: `anyone` needs no key; a `caller` has the key that calls models; an `admin` has the master key or one of " +
      "`ADMIN_API_KEYS`, as `X-Admin-API-Key` or `Authorization: Bearer`. Without a master key the gateway listens on loopback " +
      "alone, every caller there is admin (unless `ADMIN_API_KEYS` are set), and pages of other sites are not let in.",
    table(
      ["method", "path", "who", "does"],
      [
        ...hot.map(([method, path, text]) => [method, `\`${path}\``, "caller", text]),
        ...routes.map(({ method, path, suffix = "", who, summary }) => [
          method,
          `\`${path}${suffix}\``,
          who,
          summary,
        ]),
      ],
    ),
  );
}
