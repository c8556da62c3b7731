/** What a Gemini caller may ask for that only Google does: refused by the encoders of other dialects. */
import type { ChatRequest } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject } from "../../domain/json.ts";
import type { EncodeOptions } from "../dialect.ts";
import { isGoogleTool } from "./encode-tools.ts";

const caches = ["cachedContent", "cached_content"];

/** @throws GatewayError unsupported_capability, unless what cannot be said is to be dropped. */
export function refuseGoogleOnly(request: ChatRequest, options: EncodeOptions): void {
  if (options.dropParams) return;
  const own = isObject(request["gemini"]) ? request["gemini"] : {};
  const cache = caches.find((key) => own[key] !== undefined && own[key] !== null);
  if (cache) throw onlyGoogle(cache, "is kept by Google, and this model is another maker's");
  const at = request.tools?.findIndex(isGoogleTool) ?? -1;
  if (at >= 0)
    throw onlyGoogle(
      `tools[${at}]`,
      `is '${request.tools?.[at]?.type}', which runs only at Google`,
    );
}

function onlyGoogle(param: string, why: string): GatewayError {
  return new GatewayError(
    "unsupported_capability",
    `'${param}' ${why}. Leave it out, or set \`litellm_settings.drop_params: true\`.`,
    { param },
  );
}

/** A request whose tools are those that other makers' models can be told of. */
export function withoutGoogleTools(tools: ChatRequest["tools"]): ChatRequest["tools"] {
  return tools?.some(isGoogleTool) ? tools.filter((tool) => !isGoogleTool(tool)) : tools;
}
