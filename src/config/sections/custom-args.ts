/** Options of `llmrouter-custom`, a router of the operator's own: keys of `routing_strategy_args`. */
import { Type } from "@sinclair/typebox";

export const customArgs = {
  module_path: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        "llmrouter-custom: the module's file on this machine (.ts, .js, .mjs, .wasm, .onnx). Default: LLMROUTER_CUSTOM_ROUTERS_PATH. See custom-routers.md.",
    }),
  ),
  module_models: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      maxItems: 1_024,
      description:
        "llmrouter-custom: the models in the order of the module's scores. Default: what it exports as `models`, else the configuration's, in their order.",
    }),
  ),
  module_timeout_ms: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 60_000,
      description:
        "llmrouter-custom: time for a query; past it the fallback strategy routes. Default 100.",
    }),
  ),
  module_memory_mb: Type.Optional(
    Type.Integer({
      minimum: 64,
      description:
        "llmrouter-custom: memory of the module's process; beyond it the process is ended and started again. Default 512.",
    }),
  ),
} as const;
