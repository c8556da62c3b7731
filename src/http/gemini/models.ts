/** Gemini's list of models, for its clients: the names that may be asked for, at no other service. */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { Services } from "../../pipeline/services.ts";
import type { Route } from "../route.ts";

const caller = { method: "GET", who: "caller", errors: "gemini" } as const;

export const geminiModelRoutes: readonly Route[] = [
  {
    ...caller,
    path: "/v1beta/models",
    summary: "The models that may be asked for, in Gemini's form.",
    handle: (_request, { services }) => {
      const { table } = services;
      return Response.json({ models: table.names.map((name) => describe(name, services)) });
    },
  },
  {
    ...caller,
    path: "/v1beta/models/*",
    summary: "One of them.",
    handle: (_request, { services, params }) => {
      const name = params["*"] ?? "";
      if (services.table.find(name)) return Response.json(describe(name, services));
      throw new GatewayError(
        "model_not_found",
        `The model "${excerpt(name)}" does not exist here. GET /v1beta/models lists those that do.`,
        { param: "model" },
      );
    },
  },
];

function describe(name: string, { table }: Services) {
  const first = table.find(name)?.deployments[0];
  const facts = first?.facts;
  const generates = ["generateContent", "streamGenerateContent", "countTokens"];
  return {
    name: `models/${name}`,
    displayName: name,
    ...(facts?.maxInputTokens ? { inputTokenLimit: facts.maxInputTokens } : {}),
    ...(facts?.maxOutputTokens ? { outputTokenLimit: facts.maxOutputTokens } : {}),
    supportedGenerationMethods: first?.operation === "embedding" ? ["embedContent"] : generates,
  };
}
