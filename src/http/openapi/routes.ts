/** `GET /openapi.json` and `GET /docs`: the API's own description, for programs and for people. */
import type { Route } from "../route.ts";
import { type ApiDocument, type ApiTables, createDocument } from "./document.ts";
import { renderPage } from "./page.ts";

const pageHeaders = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-cache",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
};

/** Both are made when they are first asked for. @param tables of all routes, these included */
export function docRoutes(tables: () => ApiTables): readonly Route[] {
  let document: ApiDocument | undefined;
  const getDocument = () => {
    document ??= createDocument(tables());
    return document;
  };
  return [
    {
      method: "GET",
      path: "/openapi.json",
      who: "anyone",
      errors: "openai",
      summary: "The API's description: OpenAPI 3.1.",
      handle: () => Response.json(getDocument(), { headers: { "cache-control": "no-cache" } }),
    },
    {
      method: "GET",
      path: "/docs",
      who: "anyone",
      errors: "openai",
      summary: "The same as a page.",
      docs: { reply: "text/html" },
      handle: () => new Response(renderPage(getDocument()), { headers: pageHeaders }),
    },
  ];
}
