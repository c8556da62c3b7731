/** Answers as bytes on the wire, and what a client has to make of each. */

export interface Answer {
  readonly name: string;
  readonly wire: string;
  /** The server closes after it. */
  readonly closes?: boolean;
  /** The request is of this method; POST where it is missing. */
  readonly method?: "HEAD" | "GET";
  /** What is read; missing: the answer must be refused, or break off. */
  readonly read?: {
    readonly status: number;
    readonly body: string;
    readonly headers?: Readonly<Record<string, string>>;
  };
  /** Whether the connection may carry another request afterwards. */
  readonly kept?: boolean;
  /** The runtime's client is laxer here, or stricter: the case is ours alone. */
  readonly ownOnly?: true;
}

const ok = (body: string, headers?: Readonly<Record<string, string>>) => ({
  read: { status: 200, body, ...(headers ? { headers } : {}) },
});
const plain = "HTTP/1.1 200 OK\r\n";
const chunked = `${plain}Transfer-Encoding: chunked\r\n\r\n`;
const many = (count: number, line: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i)).join("");

export const understood: readonly Answer[] = [
  { name: "a length", wire: `${plain}Content-Length: 5\r\n\r\nhello`, ...ok("hello"), kept: true },
  {
    name: "names in any case, blanks around values",
    wire: `${plain}CONTENT-LENGTH:\t 5 \r\nX-A:  b c \r\nx-empty:\r\n\r\nhello`,
    ...ok("hello", { "x-a": "b c", "x-empty": "" }),
    kept: true,
  },
  { name: "no body at all", wire: `${plain}content-length: 0\r\n\r\n`, ...ok(""), kept: true },
  {
    name: "no reason phrase",
    wire: "HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nhi",
    ...ok("hi"),
    kept: true,
  },
  {
    name: "not even a blank for it",
    wire: "HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi",
    ...ok("hi"),
    kept: true,
    ownOnly: true,
  },
  {
    name: "the same length twice",
    wire: `${plain}content-length: 5\r\ncontent-length: 5\r\n\r\nhello`,
    ...ok("hello"),
    kept: true,
  },
  {
    name: "the same length in a list",
    wire: `${plain}content-length: 5, 5\r\n\r\nhello`,
    ...ok("hello"),
    kept: true,
    ownOnly: true,
  },
  { name: "one chunk", wire: `${chunked}5\r\nhello\r\n0\r\n\r\n`, ...ok("hello"), kept: true },
  {
    name: "many chunks",
    wire: `${chunked}1\r\nh\r\n2\r\nel\r\n002\r\nlo\r\n0\r\n\r\n`,
    ...ok("hello"),
    kept: true,
  },
  {
    name: "sizes in both cases",
    wire: `${chunked}A\r\n0123456789\r\nb\r\nabcdefghijk\r\n000\r\n\r\n`,
    ...ok("0123456789abcdefghijk"),
    kept: true,
  },
  {
    name: "chunk extensions",
    wire: `${chunked}5;a=b;c="d;e"\r\nhello\r\n0;last\r\n\r\n`,
    ...ok("hello"),
    kept: true,
  },
  {
    name: "trailers",
    wire: `${chunked}5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n`,
    ...ok("hello"),
    kept: true,
  },
  { name: "no chunk but the last", wire: `${chunked}0\r\n\r\n`, ...ok(""), kept: true },
  {
    name: "chunked, its name in capitals",
    wire: `${plain}TRANSFER-ENCODING: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    ...ok("hello"),
    kept: true,
  },
  {
    name: "chunks and a length: the chunks count, the connection does not",
    wire: `${plain}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    ...ok("hello"),
    kept: false,
    ownOnly: true,
  },
  {
    name: "until the connection closes",
    wire: `${plain}\r\nhello`,
    closes: true,
    ...ok("hello"),
    kept: false,
  },
  {
    name: "HTTP/1.0, until it closes",
    wire: "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello",
    closes: true,
    ...ok("hello", { "content-type": "text/plain" }),
    kept: false,
  },
  {
    name: "HTTP/1.0 with a length closes",
    wire: "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    ...ok("hello"),
    kept: false,
    ownOnly: true,
  },
  {
    name: "HTTP/1.0 that keeps alive",
    wire: "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
    ...ok("hello"),
    kept: true,
    ownOnly: true,
  },
  {
    name: "connection: close",
    wire: `${plain}connection: close\r\ncontent-length: 5\r\n\r\nhello`,
    ...ok("hello"),
    kept: false,
  },
  {
    name: "connection: close, in a list and capitals",
    wire: `${plain}Connection: x-hop, Close\r\ncontent-length: 5\r\n\r\nhello`,
    ...ok("hello"),
    kept: false,
    ownOnly: true,
  },
  {
    name: "connection: keep-alive",
    wire: `${plain}Connection: Keep-Alive\r\nKeep-Alive: timeout=5, max=100\r\ncontent-length: 5\r\n\r\nhello`,
    ...ok("hello"),
    kept: true,
  },
  {
    name: "100 Continue before the answer",
    wire: `HTTP/1.1 100 Continue\r\n\r\n${plain}content-length: 5\r\n\r\nhello`,
    ...ok("hello"),
    kept: true,
  },
  {
    name: "early hints, twice",
    wire: `${many(2, (i) => `HTTP/1.1 103 Early Hints\r\nlink: </${i}>\r\ncontent-length: 9\r\n\r\n`)}${plain}content-length: 5\r\n\r\nhello`,
    ...ok("hello"),
    kept: true,
    ownOnly: true,
  },
  {
    name: "204 has no body, whatever its length says",
    wire: "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
    read: { status: 204, body: "" },
    kept: true,
  },
  {
    name: "304 has none either",
    wire: "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
    read: { status: 304, body: "" },
    kept: true,
  },
  {
    name: "an answer to HEAD has none",
    method: "HEAD",
    wire: `${plain}content-length: 5\r\n\r\n`,
    ...ok(""),
    kept: true,
  },
  {
    name: "errors have bodies",
    wire: "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 4\r\n\r\nwait",
    read: { status: 429, body: "wait", headers: { "retry-after": "3" } },
    kept: true,
  },
  {
    name: "a status nobody has heard of",
    wire: "HTTP/1.1 599 Odd\r\ncontent-length: 2\r\n\r\nhm",
    read: { status: 599, body: "hm" },
    kept: true,
  },
  {
    name: "lines that end in bare LF",
    wire: "HTTP/1.1 200 OK\ncontent-length: 5\nx-a: b\n\nhello",
    ...ok("hello", { "x-a": "b" }),
    kept: true,
  },
  {
    name: "a field twice is a list",
    wire: `${plain}x-a: 1\r\nx-a: 2\r\ncontent-length: 2\r\n\r\nhi`,
    ...ok("hi", { "x-a": "1, 2" }),
    kept: true,
  },
  {
    name: "60 KB of headers",
    wire: `${plain}${many(100, (i) => `x-${i}: ${"v".repeat(590)}\r\n`)}content-length: 2\r\n\r\nhi`,
    ...ok("hi", { "x-99": "v".repeat(590) }),
    kept: true,
    ownOnly: true,
  },
  {
    name: "bytes after the end: the answer stands, the connection does not",
    wire: `${plain}content-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`,
    ...ok("hello"),
    kept: false,
    ownOnly: true,
  },
  {
    name: "bytes after the last chunk",
    wire: `${chunked}5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n`,
    ...ok("hello"),
    kept: false,
    ownOnly: true,
  },
];

export const refused: readonly Answer[] = [
  { name: "another protocol", wire: "SSH-2.0-OpenSSH_9.6\r\n" },
  { name: "HTTP/2's preface", wire: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
  { name: "HTTP/2 in letters", wire: "HTTP/2 200 OK\r\n\r\n" },
  { name: "a short status", wire: "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n" },
  { name: "a long status", wire: "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n" },
  { name: "a status of letters", wire: "HTTP/1.1 2xx OK\r\ncontent-length: 0\r\n\r\n" },
  { name: "a field without a colon", wire: `${plain}nonsense\r\ncontent-length: 0\r\n\r\n` },
  {
    name: "a blank before the colon",
    wire: `${plain}content-length : 0\r\n\r\n`,
    ownOnly: true,
  },
  {
    name: "a field that goes on in the next line",
    wire: `${plain}x-a: b\r\n c\r\ncontent-length: 0\r\n\r\n`,
    ownOnly: true,
  },
  { name: "a control character", wire: `${plain}x-a: b\x01c\r\ncontent-length: 0\r\n\r\n` },
  { name: "a NUL", wire: `${plain}x-a: b\0c\r\ncontent-length: 0\r\n\r\n` },
  {
    name: "a bare CR in a field",
    wire: `${plain}x-a: b\rcontent-length: 0\r\n\r\n`,
  },
  { name: "no name", wire: `${plain}: b\r\ncontent-length: 0\r\n\r\n` },
  { name: "a length that is none", wire: `${plain}content-length: five\r\n\r\nhello` },
  { name: "a negative length", wire: `${plain}content-length: -5\r\n\r\nhello` },
  { name: "an empty length", wire: `${plain}content-length:\r\n\r\nhello`, ownOnly: true },
  {
    name: "a length past counting",
    wire: `${plain}content-length: 99999999999999999999\r\n\r\nhello`,
  },
  {
    name: "two lengths",
    wire: `${plain}content-length: 5\r\ncontent-length: 6\r\n\r\nhello!`,
    ownOnly: true,
  },
  { name: "two lengths in a list", wire: `${plain}content-length: 5, 6\r\n\r\nhello!` },
  {
    name: "a transfer coding that we did not ask for",
    wire: `${plain}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    ownOnly: true,
  },
  {
    name: "chunked twice",
    wire: `${plain}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ownOnly: true,
  },
  { name: "a chunk size that is none", wire: `${chunked}five\r\nhello\r\n0\r\n\r\n` },
  { name: "no chunk size", wire: `${chunked}\r\nhello\r\n0\r\n\r\n`, ownOnly: true },
  { name: "a negative chunk size", wire: `${chunked}-5\r\nhello\r\n0\r\n\r\n` },
  { name: "a chunk size past counting", wire: `${chunked}fffffffffffffffff\r\nhello` },
  { name: "a chunk that is longer than it says", wire: `${chunked}4\r\nhello\r\n0\r\n\r\n` },
  {
    name: "an endless chunk extension",
    wire: `${chunked}5;${"x".repeat(20_000)}\r\nhello\r\n0\r\n\r\n`,
    ownOnly: true,
  },
  {
    name: "endless trailers",
    wire: `${chunked}0\r\n${many(2000, (i) => `x-${i}: ${"v".repeat(40)}\r\n`)}\r\n`,
    ownOnly: true,
  },
  {
    name: "70 KB of headers",
    wire: `${plain}x-a: ${"v".repeat(70_000)}\r\n\r\n`,
    ownOnly: true,
  },
  {
    name: "headers that never end",
    wire: `${plain}${many(4000, (i) => `x-${i}: ${"v".repeat(40)}\r\n`)}`,
  },
  {
    name: "300 fields",
    wire: `${plain}${many(300, (i) => `x-${i}: v\r\n`)}content-length: 0\r\n\r\n`,
    ownOnly: true,
  },
  {
    name: "a switch of protocols",
    wire: "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    ownOnly: true,
  },
  {
    name: "nothing but continues",
    wire: many(100, () => "HTTP/1.1 100 Continue\r\n\r\n"),
    ownOnly: true,
  },
];

/** What of an answer is sent before the connection ends; none of it is an answer. */
export const cutShort: readonly Answer[] = [
  { name: "nothing", wire: "" },
  { name: "half a status line", wire: "HTTP/1.1 20" },
  { name: "a status line", wire: plain },
  { name: "half a header", wire: `${plain}content-le` },
  { name: "headers without their end", wire: `${plain}content-length: 5\r\n` },
  { name: "no byte of a body", wire: `${plain}content-length: 5\r\n\r\n` },
  { name: "half a body", wire: `${plain}content-length: 5\r\n\r\nhel` },
  { name: "half a chunk's size", wire: `${plain}transfer-encoding: chunked\r\n\r\n5` },
  { name: "half a chunk", wire: `${chunked}5\r\nhel` },
  { name: "a chunk without its end", wire: `${chunked}5\r\nhello` },
  { name: "no last chunk", wire: `${chunked}5\r\nhello\r\n` },
  { name: "a last chunk without its end", wire: `${chunked}5\r\nhello\r\n0\r\n`, ownOnly: true },
];
