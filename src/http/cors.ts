/** Cross-origin headers by configuration: exact origins, or every one. Without origins: none. */
const methods = "GET, POST, PUT, DELETE, OPTIONS";
const maxAgeS = "600";

export type Cors = (request: Request, respond: () => Promise<Response>) => Promise<Response>;

/** Credentials (cookies) are never allowed, so `*` opens nothing that a key does not guard. */
export function createCors(origins: () => readonly string[]): Cors {
  return async (request, respond) => {
    const origin = request.headers.get("origin") ?? "";
    const allowed = origins();
    const any = allowed.includes("*");
    if (!any && !allowed.includes(origin)) return respond();
    const preflight =
      request.method === "OPTIONS" && request.headers.has("access-control-request-method");
    const response = preflight ? answerPreflight(request) : await respond();
    response.headers.set("access-control-allow-origin", any ? "*" : origin);
    response.headers.set("access-control-expose-headers", "*");
    if (!any) response.headers.append("vary", "Origin");
    return response;
  };
}

function answerPreflight(request: Request): Response {
  const wanted = request.headers.get("access-control-request-headers");
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-methods": methods,
      ...(wanted ? { "access-control-allow-headers": wanted } : {}),
      "access-control-max-age": maxAgeS,
    },
  });
}
