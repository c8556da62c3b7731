/**
 * A search over vector stores as a tool of a model: `{type: "file_search", vector_store_ids}`.
 * Source: https://platform.openai.com/docs/guides/tools-file-search
 */
import type { Caller } from "../../domain/call.ts";
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import type {
  HostedClaim,
  HostedPassage,
  HostedSource,
  HostedTool,
} from "../../domain/hosted-tool.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import type { Clock } from "../../std/clock.ts";
import { invalid } from "../fields.ts";
import { assertStoreGranted } from "./granted.ts";
import { readQuery, storeLimits } from "./read-body.ts";
import type { FoundPassage, VectorStores } from "./vector-stores.ts";

export const searchToolName = "file_search";

/** As models are told of it. */
export const searchFunction = {
  name: searchToolName,
  description:
    "Searches the files that belong to this conversation, by meaning and by words. Ask in full sentences; several queries find more.",
  parameters: {
    type: "object",
    properties: {
      queries: {
        type: "array",
        items: { type: "string" },
        description: `What to look for: 1 to ${storeLimits.queries} questions.`,
      },
    },
    required: ["queries"],
    additionalProperties: false,
  },
} as const;

/** Stores that one tool may look into. */
const storeLimit = 10;
/** OpenAI's own, where the request does not say. */
const usualResults = 20;

export function createSearchSource(parts: SearchSourceParts): HostedSource {
  const { stores, services, ...told } = parts;
  return {
    type: "file_search",
    assertGranted({ vector_store_ids: sent }, { caller, param }) {
      for (const id of Array.isArray(sent) ? sent.slice(0, storeLimit).map(String) : []) {
        assertStoreGranted(id, caller, services(), `${param}.vector_store_ids`);
      }
    },
    async claim(entry, caller) {
      const { vector_store_ids: sent } = entry;
      const ids = Array.isArray(sent) ? sent.slice(0, storeLimit).map(String) : [];
      const known = await Promise.all(ids.map((id) => isOurs(id, caller, stores)));
      // Where one is ours and one is not, the one that is missing is told when it is opened.
      const claimed: HostedClaim = known.includes(true) ? "own" : "foreign";
      return claimed;
    },
    async open(entry, { caller, param }) {
      const ids = readIds(entry, param);
      for (const id of ids) await stores.assertSeen(id, caller);
      const tool = createSearchTool({ ids, entry, stores, ...told });
      const close = () => undefined;
      return { shownAs: "file_search", label: searchToolName, listed: false, tools: [tool], close };
    },
  };
}

/** How a search went, for its receipt. */
export interface SearchEnd {
  readonly caller: Caller;
  readonly requestId: string;
  readonly stores: readonly string[];
  readonly startedAtMs: number;
  /** A code word, where it failed. */
  readonly error?: string;
}

interface SearchWatch {
  readonly clock: Clock;
  readonly onSearch: (search: SearchEnd) => void;
}

export interface SearchSourceParts extends SearchWatch {
  readonly stores: Pick<VectorStores, "assertSeen" | "find">;
  readonly services: () => Services;
}

export interface SearchToolParts extends SearchWatch {
  readonly stores: Pick<VectorStores, "find">;
  readonly ids: readonly string[];
  /** `max_num_results`, `filters`, `ranking_options`. */
  readonly entry: JsonObject;
}

/** @throws GatewayError invalid_request where the entry's options are wrong */
export function createSearchTool(parts: SearchToolParts): HostedTool {
  const { ids, entry, stores, clock, onSearch } = parts;
  const { max_num_results: limit = usualResults, filters, ranking_options: ranking } = entry;
  const options = {
    max_num_results: limit,
    ...(isObject(filters) ? { filters } : {}),
    ...(isObject(ranking) ? { ranking_options: ranking } : {}),
  };
  readQuery({ ...options, query: "?" }); // said now, not when the model searches
  return {
    ...searchFunction,
    async run(args, { caller, requestId, signal }) {
      const queries = queriesIn(args);
      if (queries.length === 0) {
        const message = "'queries' must hold at least one text.";
        return { text: message, failure: { kind: "protocol", code: -32602, message } };
      }
      const begun = { caller, requestId, stores: ids, startedAtMs: clock.now() };
      try {
        const found = await stores.find(ids, readQuery({ ...options, query: queries }), caller);
        const passages = found.map(toPassage);
        onSearch(begun);
        return { text: toText(passages), search: { queries, passages } };
      } catch (thrown) {
        const { code, message, status } = toGatewayError(thrown);
        onSearch({ ...begun, error: code });
        signal.throwIfAborted();
        if (code === "internal") throw thrown;
        return { text: message, failure: { kind: "http", code: status, message } };
      }
    },
  };
}

function readIds({ vector_store_ids: sent }: JsonObject, param: string): readonly string[] {
  const fits =
    Array.isArray(sent) &&
    sent.length > 0 &&
    sent.length <= storeLimit &&
    sent.every((id) => typeof id === "string");
  if (fits) return sent as readonly string[];
  throw invalid(
    `${param}.vector_store_ids`,
    `of a file_search must be a list of 1 to ${storeLimit} ids`,
  );
}

async function isOurs(id: string, caller: Caller, stores: Pick<VectorStores, "assertSeen">) {
  try {
    await stores.assertSeen(id, caller);
    return true;
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.code === "not_found") return false;
    throw thrown;
  }
}

/** `queries`, or one `query`, as some models write whatever they are told. */
function queriesIn({ queries, query }: JsonObject): readonly string[] {
  const sent = Array.isArray(queries) ? queries : [queries, query];
  return sent
    .filter((each): each is string => typeof each === "string" && each.trim() !== "")
    .slice(0, storeLimits.queries)
    .map((each) => each.slice(0, storeLimits.queryChars));
}

function toPassage(found: FoundPassage): HostedPassage {
  const { document: fileId, filename, text, score, attributes } = found;
  return { fileId, filename, text, score, attributes };
}

function toText(passages: readonly HostedPassage[]): string {
  if (passages.length === 0) return "Nothing was found.";
  return passages.map(({ filename, text }) => `[${filename}]\n${text}`).join("\n\n");
}
