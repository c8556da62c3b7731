/** Which heads are read here, and which are left to the runtime's server: everything unusual. */
import { describe, expect, test } from "bun:test";
import { HeadReader, readHead } from "./head.ts";

const line = "POST /v1/chat/completions HTTP/1.1";
const host = "Host: api.example.com:4000";
const length = "Content-Length: 57";
const head = (...lines: string[]) => lines.join("\r\n");

describe("a plain call", () => {
  test("is read: its path, its length, its fields whatever their case", () => {
    const read = readHead(head(`${line}`, host, length, "X-Request-ID:  abc \t", "accept:*/*"));
    expect(read?.path).toBe("/v1/chat/completions");
    expect(read?.bodyLength).toBe(57);
    expect(read?.close).toBe(false);
    expect(read?.headers.get("x-request-id")).toBe("abc");
    expect(read?.headers.get("accept")).toBe("*/*");
    expect(read?.headers.get("origin")).toBeNull();
    expect(read?.headers.has("content-length")).toBe(true);
  });

  test("may have a query, an empty field, a field twice, text beyond ASCII", () => {
    const read = readHead(
      head("POST /v1/messages?beta=true HTTP/1.1", host, length, "A:", "b: 1", "B: 2", "c: \xe9"),
    );
    expect(read?.path).toBe("/v1/messages");
    expect(read?.headers.get("a")).toBe("");
    expect(read?.headers.get("b")).toBe("1, 2");
    expect(read?.headers.get("c")).toBe("\xe9");
  });

  test.each([
    ["Connection: close", true],
    ["connection: Keep-Alive", false],
  ])("says %s", (field, close) => {
    expect(readHead(head(line, host, length, field))?.close).toBe(close);
  });

  test.each(["localhost", "127.0.0.1:4000", "[::1]:4000", "a_b.internal"])("host %s", (name) => {
    expect(readHead(head(line, `host: ${name}`, length))).toBeDefined();
  });
});

describe("the heads of a connection", () => {
  const other = "authorization: Bearer a";
  test("those alike but for the length are read by comparison, to the same", () => {
    const heads = new HeadReader();
    for (const digits of ["57", "1", "0", "1234567890", "57"]) {
      const text = head(line, host, `Content-Length: ${digits}`, other);
      const read = heads.read(text);
      expect(read?.bodyLength).toBe(Number(digits));
      expect(read?.headers.get("content-length")).toBe(digits);
      expect(read?.headers.get("authorization")).toBe("Bearer a");
      expect(read?.path).toBe("/v1/chat/completions");
    }
  });

  const after = (text: string) => {
    const heads = new HeadReader();
    heads.read(head(line, host, length, other));
    return heads.read(text);
  };
  test.each([
    ["another length that is none", head(line, host, "Content-Length: 5x", other)],
    ["a sign", head(line, host, "Content-Length: -5", other)],
    ["eleven digits", head(line, host, "Content-Length: 12345678901", other)],
    ["no digits", head(line, host, "Content-Length: ", other)],
    [
      "a second length behind it",
      head(line, host, "Content-Length: 5\r\nContent-Length: 57", other),
    ],
  ])("%s is not taken for the same", (_, text) => expect(after(text)).toBeUndefined());

  test("another key is another head", () => {
    expect(
      after(head(line, host, length, "authorization: Bearer b"))?.headers.get("authorization"),
    ).toBe("Bearer b");
  });
});

describe("left to the runtime's server", () => {
  const others: readonly (readonly [string, string])[] = [
    ["another method", head("GET /v1/models HTTP/1.1", host)],
    ["a method in lower case", head("post /v1/chat/completions HTTP/1.1", host, length)],
    ["an older version", head("POST /v1/chat/completions HTTP/1.0", host, length)],
    ["a newer version", head("POST /v1/chat/completions HTTP/2.0", host, length)],
    ["no version", head("POST /v1/chat/completions", host, length)],
    ["a whole URL", head("POST http://a/v1/chat/completions HTTP/1.1", host, length)],
    ["a blank in the target", head("POST /v1/chat completions HTTP/1.1", host, length)],
    ["a control character in the target", head("POST /v1/\x01 HTTP/1.1", host, length)],
    ["no host", head(line, length)],
    ["two hosts", head(line, host, host, length)],
    ["a host that is none", head(line, "Host: a b", length)],
    ["an empty host", head(line, "Host:", length)],
    ["no length", head(line, host)],
    ["two lengths", head(line, host, length, "Content-Length: 5")],
    ["the same length twice", head(line, host, length, length)],
    ["a list of lengths", head(line, host, "Content-Length: 5, 5")],
    ["a signed length", head(line, host, "Content-Length: +5")],
    ["an empty length", head(line, host, "Content-Length:")],
    ["a length beyond reason", head(line, host, "Content-Length: 99999999999")],
    ["chunks", head(line, host, length, "Transfer-Encoding: chunked")],
    ["an expectation", head(line, host, length, "Expect: 100-continue")],
    ["an upgrade", head(line, host, length, "Upgrade: websocket")],
    ["a page's origin", head(line, host, length, "Origin: https://a.example")],
    ["an idempotency key", head(line, host, length, "Idempotency-Key: a")],
    ["a compressed body", head(line, host, length, "Content-Encoding: gzip")],
    ["options of the connection", head(line, host, length, "Connection: keep-alive, upgrade")],
    ["a folded field", head(line, host, length, "x: a", " b")],
    ["a blank before the colon", head(line, host, "Content-Length : 57")],
    ["a field without a colon", head(line, host, length, "nonsense")],
    ["a field without a name", head(line, host, length, ": a")],
    ["a NUL in a field", head(line, host, length, "x: a\0b")],
    ["a bare line feed", head(line, host, `x: a\n${length}`)],
    ["a bare carriage return", head(line, host, `x: a\r${length}`)],
    ["nothing", ""],
  ];
  test.each(others)("%s", (_, text) => expect(readHead(text)).toBeUndefined());
});
