/**
 * What the gateway is measured against: the least that a proxy in Bun can do. One `Bun.serve`, one
 * `fetch`; bodies buffered, streams handed on as they come. Usage: bun pass-through.ts UPSTREAM_PORT
 */
const upstream = `http://127.0.0.1:${process.argv[2]}`;

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  idleTimeout: 0,
  development: false,
  async fetch(request) {
    const body = await request.arrayBuffer();
    const path = request.url.slice(request.url.indexOf("/", 8));
    const answer = await fetch(upstream + path, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer sk-bench" },
      body,
      signal: request.signal,
    });
    const type = answer.headers.get("content-type") ?? "";
    const init = { status: answer.status, headers: { "content-type": type } };
    if (type.startsWith("text/event-stream")) return new Response(answer.body, init);
    return new Response(await answer.arrayBuffer(), init);
  },
});
console.log(server.port);
