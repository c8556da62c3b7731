/**
 * What hosted tools did in earlier turns of the Responses API, as calls and results of functions: so
 * a model reads them, whoever serves it. Approvals are matched with what they approve of.
 */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { asData } from "./as-data.ts";
import { type Offered, sourceOf, type Toolbox } from "./toolbox.ts";

/** A call that the caller approved of: it runs before the model is asked. */
export interface ApprovedCall {
  readonly offered: Offered;
  readonly args: string;
  /** Of the message that waits for its result. */
  readonly callId: string;
  readonly approvalId: string;
}

export interface RestoredItems {
  readonly input: Json | undefined;
  readonly approved: readonly ApprovedCall[];
  readonly listed: ReadonlySet<string>;
}

/** @throws GatewayError invalid_request where an approval answers nothing */
export function restoreItems(input: Json | undefined, toolbox: Toolbox): RestoredItems {
  if (!Array.isArray(input)) return { input, approved: [], listed: new Set() };
  return new Restoring(input, toolbox).all();
}

const textOf = (value: Json | undefined) => (typeof value === "string" ? value : "");

class Restoring {
  readonly #input: readonly Json[];
  readonly #toolbox: Toolbox;
  readonly #requests = new Map<string, JsonObject>();
  /** Requests whose calls have run. */
  readonly #done: ReadonlySet<string>;
  readonly #approved: ApprovedCall[] = [];
  readonly #listed = new Set<string>();

  constructor(input: readonly Json[], toolbox: Toolbox) {
    this.#input = input;
    this.#toolbox = toolbox;
    const calls = input.filter((item) => isObject(item) && item["type"] === "mcp_call");
    this.#done = new Set(calls.map((item) => textOf((item as JsonObject)["approval_request_id"])));
  }

  all(): RestoredItems {
    const input = this.#input.flatMap((item, i) => (isObject(item) ? this.#one(item, i) : [item]));
    return { input, approved: this.#approved, listed: this.#listed };
  }

  #one(item: JsonObject, index: number): readonly Json[] {
    switch (item["type"]) {
      case "mcp_list_tools":
        this.#listed.add(textOf(item["server_label"]));
        return [];
      case "mcp_call":
        return this.#call(item, index);
      case "mcp_approval_request":
        this.#requests.set(textOf(item["id"]), item);
        return [];
      case "mcp_approval_response":
        return this.#answer(item, index);
      default:
        return [item];
    }
  }

  /** One of a tool that this request does not have is left out: the text after it holds the answer. */
  #call(item: JsonObject, index: number): readonly Json[] {
    const offered = this.#toolbox.find(textOf(item["server_label"]), textOf(item["name"]));
    if (!offered) return [];
    const text = textOf(item["output"]) || failureOf(item["error"]);
    const args = textOf(item["arguments"]);
    return pair(`call_past_${index}`, offered.name, args, asData(text, sourceOf(offered)));
  }

  #answer(item: JsonObject, index: number): readonly Json[] {
    const id = textOf(item["approval_request_id"]);
    const request = this.#requests.get(id);
    const param = `input[${index}].approval_request_id`;
    if (!request) {
      const message = `'${excerpt(id)}' is no approval request of this conversation: go on from its response by 'previous_response_id', or send the request's item before this one.`;
      throw new GatewayError("invalid_request", message, { param });
    }
    if (this.#done.has(id)) return [];
    const [label, name] = [textOf(request["server_label"]), textOf(request["name"])];
    const offered = this.#toolbox.find(label, name);
    if (!offered) {
      const message = `'${excerpt(`${label}.${name}`)}' is not among the tools of this request: send the same 'tools' as before.`;
      throw new GatewayError("invalid_request", message, { param });
    }
    const args = textOf(request["arguments"]);
    const callId = `call_approved_${index}`;
    if (item["approve"] !== true) {
      const reason = textOf(item["reason"]);
      const text = `The user did not approve of this call${reason ? `: ${reason}` : "."}`;
      return pair(callId, offered.name, args, text);
    }
    this.#approved.push({ offered, args, callId, approvalId: id });
    return pair(callId, offered.name, args, ""); // its result is put in when it has run
  }
}

/** In its words, whichever of the API's forms it has. */
function failureOf(error: Json | undefined): string {
  if (!isObject(error)) return textOf(error);
  const { message, content } = error;
  const parts = Array.isArray(content) ? content.filter(isObject) : [];
  return textOf(message) || parts.map(({ text }) => textOf(text)).join("\n");
}

function pair(callId: string, name: string, args: string, output: string): readonly JsonObject[] {
  return [
    { type: "function_call", call_id: callId, name, arguments: args },
    { type: "function_call_output", call_id: callId, output },
  ];
}
