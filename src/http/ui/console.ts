/** The page at `/` and `/ui`: where the console will be, and what to try until then. */
import { version } from "../../std/version.ts";
import type { Route } from "../route.ts";
import page from "./console.html" with { type: "text" };

const headers = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-cache",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
};

export const consoleRoutes: readonly Route[] = ["/", "/ui", "/ui/"].map((path) => ({
  method: "GET",
  path,
  who: "anyone",
  errors: "openai",
  summary: "A page with what to try.",
  docs: { reply: "text/html" },
  handle: () => new Response(String(page).replaceAll("{{version}}", version), { headers }),
}));
