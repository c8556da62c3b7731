/** Hostile and broken pickles: every one is refused, by name where it names something, and at once. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { deflateRawSync, deflateSync } from "node:zlib";
import { importRouter } from "./import-router.ts";
import { unpackLz4 } from "./lz4.ts";
import { readForeignFile } from "./read-file.ts";

const marker = "/tmp/routeiq-was-here";

/** `pickle.dumps` of objects whose `__reduce__` asks for these; protocols 0, 2, 4 and 5. */
const reduced: readonly (readonly [asks: string, protocol: number, hex: string])[] = [
  [
    "posix.system",
    0,
    "63706f7369780a73797374656d0a70300a2856746f756368202f746d702f726f75746569712d7761732d686572650a70310a7470320a5270330a2e",
  ],
  [
    "posix.system",
    2,
    "800263706f7369780a73797374656d0a7100581b000000746f756368202f746d702f726f75746569712d7761732d6865726571018571025271032e",
  ],
  [
    "posix.system",
    4,
    "80049536000000000000008c05706f736978948c0673797374656d9493948c1b746f756368202f746d702f726f75746569712d7761732d6865726594859452942e",
  ],
  [
    "posix.system",
    5,
    "80059536000000000000008c05706f736978948c0673797374656d9493948c1b746f756368202f746d702f726f75746569712d7761732d6865726594859452942e",
  ],
  ["eval", 0, "635f5f6275696c74696e5f5f0a6576616c0a70300a2856312b310a70310a7470320a5270330a2e"],
  ["eval", 2, "8002635f5f6275696c74696e5f5f0a6576616c0a71005803000000312b3171018571025271032e"],
  [
    "eval",
    4,
    "8004951f000000000000008c086275696c74696e73948c046576616c9493948c03312b3194859452942e",
  ],
  [
    "eval",
    5,
    "8005951f000000000000008c086275696c74696e73948c046576616c9493948c03312b3194859452942e",
  ],
  [
    "exec",
    0,
    "635f5f6275696c74696e5f5f0a657865630a70300a2856696d706f7274206f730a70310a7470320a5270330a2e",
  ],
  [
    "exec",
    2,
    "8002635f5f6275696c74696e5f5f0a657865630a71005809000000696d706f7274206f7371018571025271032e",
  ],
  [
    "exec",
    4,
    "80049525000000000000008c086275696c74696e73948c04657865639493948c09696d706f7274206f7394859452942e",
  ],
  [
    "exec",
    5,
    "80059525000000000000008c086275696c74696e73948c04657865639493948c09696d706f7274206f7394859452942e",
  ],
  [
    "__import__",
    0,
    "635f5f6275696c74696e5f5f0a5f5f696d706f72745f5f0a70300a28566f730a70310a7470320a5270330a2e",
  ],
  [
    "__import__",
    2,
    "8002635f5f6275696c74696e5f5f0a5f5f696d706f72745f5f0a710058020000006f7371018571025271032e",
  ],
  [
    "__import__",
    4,
    "80049524000000000000008c086275696c74696e73948c0a5f5f696d706f72745f5f9493948c026f7394859452942e",
  ],
  [
    "__import__",
    5,
    "80059524000000000000008c086275696c74696e73948c0a5f5f696d706f72745f5f9493948c026f7394859452942e",
  ],
  [
    "Popen",
    0,
    "63636f6d6d616e64730a506f70656e0a70300a28286c70310a56747275650a70320a617470330a5270340a2e",
  ],
  [
    "Popen",
    2,
    "800263636f6d6d616e64730a506f70656e0a71005d71015804000000747275657102618571035271042e",
  ],
  [
    "Popen",
    4,
    "80049526000000000000008c0a73756270726f63657373948c05506f70656e9493945d948c04747275659461859452942e",
  ],
  [
    "Popen",
    5,
    "80059526000000000000008c0a73756270726f63657373948c05506f70656e9493945d948c04747275659461859452942e",
  ],
];

test.each(reduced)("__reduce__ that asks for %s, protocol %d", (asks, _protocol, hex) => {
  const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
  expect(() => readForeignFile(bytes)).toThrow(asks);
  expect(() => readForeignFile(bytes)).toThrow("Nothing of the file was run");
  expect(existsSync(marker)).toBe(false);
});

type Part = string | number | readonly number[];

/** Texts as they are, numbers as bytes. */
function bytesOf(...parts: readonly Part[]): Uint8Array {
  const list = parts.map((part) =>
    typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from([part].flat()),
  );
  return new Uint8Array(Buffer.concat(list));
}

const u32 = (value: number) => [...new Uint8Array(new Uint32Array([value]).buffer)];
const u64 = (value: number) => [...new Uint8Array(new BigUint64Array([BigInt(value)]).buffer)];
/** SHORT_BINUNICODE */
const text = (value: string): Part[] => [0x8c, value.length, value];
const stackGlobal = (module: string, name: string): Part[] => [
  ...text(module),
  ...text(name),
  0x93,
];

const names: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ["os.system", bytesOf("cos\nsystem\n.")],
  ["builtins.eval", bytesOf(0x80, 4, ...stackGlobal("builtins", "eval"), ".")],
  ["builtins.print", bytesOf("(ibuiltins\nprint\n.")], // INST
  ["nt.system", bytesOf("(cnt\nsystem\no.")], // OBJ
  // The parts of the name come from far away, out of the memo.
  [
    "os.popen",
    bytesOf(
      0x80,
      4,
      ...text("popen"),
      0x94,
      "0",
      ...text("os"),
      0x94,
      "0",
      "h",
      1,
      "h",
      0,
      0x93,
      ".",
    ),
  ],
  // Functions of the very libraries whose arrays are read.
  [
    "numpy.testing._private.utils.runstring",
    bytesOf("cnumpy.testing._private.utils\nrunstring\n."),
  ],
  ["numpy.f2py.compile", bytesOf("cnumpy.f2py\ncompile\n.")],
  ["numpy.load", bytesOf("cnumpy\nload\n.")],
  ["torch.hub.load", bytesOf("ctorch.hub\nload\n.")],
  ["torch.load", bytesOf("ctorch\nload\n.")],
  ["torch.jit.load", bytesOf("ctorch.jit\nload\n.")],
  ["joblib.load", bytesOf("cjoblib\nload\n.")],
  ["joblib.numpy_pickle.load", bytesOf("cjoblib.numpy_pickle\nload\n.")],
  ["pandas.eval", bytesOf("cpandas\neval\n.")],
  ["sklearn.utils._joblib.load", bytesOf("csklearn.utils._joblib\nload\n.")],
  [
    "sklearn.ensemble._forest.RandomForestClassifier",
    bytesOf("csklearn.ensemble._forest\nRandomForestClassifier\n."),
  ],
  // Attributes of what is allowed.
  ["numpy.ndarray.__class__", bytesOf(0x80, 4, ...stackGlobal("numpy", "ndarray.__class__"), ".")],
  [
    "collections.OrderedDict.fromkeys",
    bytesOf(0x80, 4, ...stackGlobal("collections", "OrderedDict.fromkeys"), "."),
  ],
  ["functools.partial", bytesOf(0x80, 4, ...stackGlobal("functools", "partial"), ".")],
  ["__builtin__.apply", bytesOf("c__builtin__\napply\n.")],
  // An allowed function is given a class that is not.
  ["os.PathLike", bytesOf("ccopy_reg\n_reconstructor\n(cos\nPathLike\nc__builtin__\nobject\nNtR.")],
  ["a?b.c", bytesOf("ca\x1bb\nc\n.")], // no escape of a terminal comes through
];

test.each(names)("a pickle that names %s", (name, bytes) => {
  expect(() => readForeignFile(bytes)).toThrow(name);
});

/** A whole array of numpy: shape and dtype as said, whatever the bytes are. */
const array = (shape: Part[], dtype: string, data: Part[]): Part[] => [
  "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR(K\x01",
  ...shape,
  `cnumpy\ndtype\n(X`,
  u32(dtype.length),
  dtype,
  "\x89\x88tR(K\x03X",
  u32(1),
  "<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
  ...data,
  "tb",
];

const nested = (depth: number): Uint8Array =>
  bytesOf("]".repeat(depth), "a".repeat(depth - 1), ".");

/** torch._utils._rebuild_tensor_v2 on ("storage", FloatStorage, "0", "cpu", items). */
function torchZip(items: number, stored: number, size: number, stride: number): Uint8Array {
  const pickle = bytesOf(
    [0x80, 2],
    "ctorch._utils\n_rebuild_tensor_v2\n((",
    ...short("storage"),
    "ctorch\nFloatStorage\n",
    ...short("0"),
    ...short("cpu"),
    [0x4a, ...u32(items)],
    "tQK\x00",
    [0x4a, ...u32(size)],
    [0x85],
    [0x4a, ...u32(stride)],
    [0x85],
    "\x89ccollections\nOrderedDict\n)RtR.",
  );
  return zip({ "a/data.pkl": pickle, "a/data/0": new Uint8Array(stored) });
}
const short = (value: string): Part[] => [0x58, u32(value.length), value];

function zip(files: Readonly<Record<string, Uint8Array>>, method = 0): Uint8Array {
  const locals: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const [name, data] of Object.entries(files)) {
    const body = method === 0 ? data : new Uint8Array(deflateRawSync(data));
    const sizes: Part[] = [u32(body.length), u32(data.length)];
    const head = [20, 0, 0, 0, method, 0, ...Array(8).fill(0)];
    const local = bytesOf("PK\x03\x04", head, ...sizes, [name.length, 0, 0, 0], name);
    locals.push(local, body);
    directory.push(
      bytesOf(
        "PK\x01\x02",
        [20, 0],
        head,
        ...sizes,
        [name.length, 0],
        Array(12).fill(0),
        u32(at),
        name,
      ),
    );
    at += local.length + body.length;
  }
  const central = Buffer.concat(directory);
  const count = directory.length;
  const end = bytesOf(
    "PK\x05\x06",
    [0, 0, 0, 0, count, 0, count, 0],
    u32(central.length),
    u32(at),
    [0, 0],
  );
  return new Uint8Array(Buffer.concat([...locals, central, end]));
}

const refused: readonly (readonly [what: string, why: string, bytes: Uint8Array])[] = [
  ["nothing", "ends early", bytesOf()],
  ["no end", "ends early", bytesOf("(lp0\n")],
  ["an empty stack", "empty stack", bytesOf(".")],
  ["a stack below its mark", "empty stack", bytesOf("N(0(R.")],
  ["a tuple out of nothing", "a mark", bytesOf("t.")],
  ["protocol 9", "protocol 9", bytesOf([0x80, 9], "N.")],
  ["an extension by number", "0x82", bytesOf([0x80, 2, 0x82, 1], ".")],
  ["an extension of two bytes", "0x83", bytesOf([0x80, 2, 0x83, 1, 0], ".")],
  ["an extension of four bytes", "0x84", bytesOf([0x80, 2, 0x84, 1, 0, 0, 0], ".")],
  ["a buffer out of band", "0x97", bytesOf([0x80, 5, 0x97], ".")],
  ["a persistent id as text", "persistent id", bytesOf("Pos.system\n.")],
  ["a persistent id", "persistent id", bytesOf([0x80, 2, 0x4b, 1, 0x51], ".")],
  ["a frame beyond the file", "frame", bytesOf([0x80, 4, 0x95], u64(1e12), "N.")],
  ["bytes beyond the file", "longer than the file", bytesOf([0x8e], u64(2 ** 52), "x.")],
  ["a text beyond the file", "longer than the file", bytesOf([0x8d], u64(2 ** 52), "x.")],
  [
    "a text of negative length",
    "longer than the file",
    bytesOf("T", [0xff, 0xff, 0xff, 0xff], "."),
  ],
  ["a text that is no UTF-8", "not UTF-8", bytesOf([0x8c, 2, 0xc3, 0x28], ".")],
  [
    "an integer of a kilobyte",
    "an integer of 1024",
    bytesOf([0x8b], u32(1024), "\0".repeat(1024), "."),
  ],
  ["an integer of many digits", "an integer", bytesOf(`I${"9".repeat(5000)}\n.`)],
  ["a value never kept", "never kept", bytesOf("h", 7, ".")],
  ["a call of a text", "has no name", bytesOf("S'os.system'\n(tR.")],
  ["a call of a storage's class", "not called here", bytesOf("ctorch\nFloatStorage\n(tR.")],
  ["a call without a tuple", "without a tuple", bytesOf("cnumpy\ndtype\nS'f8'\nR.")],
  [
    "arguments by name",
    "arguments by name",
    bytesOf([0x80, 4], "cnumpy\ndtype\n)}", ...text("a"), "K\x01s", [0x92], "."),
  ],
  ["a state for a class", "has none", bytesOf("cnumpy\nndarray\n}b.")],
  ["items for a number", "no dict", bytesOf("K\x01(K\x01K\x02u.")],
  ["a key without a value", "without a value", bytesOf("}(K\x01u.")],
  ["more for a number", "no list", bytesOf("K\x01K\x01a.")],
  ["steps without end", "steps", bytesOf("N0".repeat(2_100_000), ".")],
  ["marks without end", "values", bytesOf("(".repeat(20_000), ".")],
  ["values without end", "values", bytesOf("N".repeat(1_100_000), ".")],
  [
    "an array larger than its bytes",
    "as many items",
    bytesOf(...array(["J", u32(2 ** 31 - 1), [0x85]], "f8", ["C\x08", "\0".repeat(8)]), "."),
  ],
  [
    "an array of a negative shape",
    "sound shape",
    bytesOf(...array(["J", u32(-1), [0x85]], "f8", ["C\x08", "\0".repeat(8)]), "."),
  ],
  [
    "an array of five dimensions",
    "sound shape",
    bytesOf(...array(["(K\x01K\x01K\x01K\x01K\x01t"], "f8", ["C\x08", "\0".repeat(8)]), "."),
  ],
  [
    "an array of an unknown type",
    "type",
    bytesOf(...array(["K\x01", [0x85]], "q9", ["C\x08", "\0".repeat(8)]), "."),
  ],
  ["lists in lists in lists", "holds no router", nested(300_000)],
  ["a packed zip", "packed", zip({ "a/data.pkl": new Uint8Array(99) }, 8)],
  ["a zip of something else", "no file of torch.save", zip({ "readme.txt": new Uint8Array(9) })],
  ["a zip cut off", "cut off", zip({ "a/data.pkl": new Uint8Array(99) }).slice(0, -30)],
  ["a zip with a pickle that runs", "os.system", zip({ "a/data.pkl": bytesOf("cos\nsystem\n.") })],
  ["a storage shorter than said", "as many items", torchZip(100, 8, 100, 1)],
  ["a tensor beyond its storage", "beyond its storage", torchZip(2, 8, 3, 1)],
  ["a tensor that steps over it", "beyond its storage", torchZip(4, 16, 3, 2)],
  ["a tensor blown up", "beyond its storage", torchZip(1, 4, 1_000_000_000, 0)],
  [
    "zlib cut off",
    "does not unpack",
    new Uint8Array(deflateSync(new Uint8Array(9999))).slice(0, 12),
  ],
  ["bzip2", "packed by bz2", bytesOf("BZh91AY")],
  ["xz", "packed by xz", bytesOf([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])],
  ["packed evil", "os.system", new Uint8Array(deflateSync(bytesOf("cos\nsystem\n.")))],
  ["a dict", "holds no router", bytesOf("}.")],
  [
    "an estimator never fitted",
    "never fitted",
    bytesOf("csklearn.svm._classes\nSVC\n)\x81}(X\x06\0\0\0kernelX\x03\0\0\0rbfub."),
  ],
  [
    "an estimator without a state",
    "never fitted",
    bytesOf("csklearn.neighbors._classification\nKNeighborsClassifier\n)\x81."),
  ],
];

test.each(refused)("%s is refused: %s", (_what, why, bytes) => {
  expect(() => importRouter(bytes, {})).toThrow(why);
});

describe("what is packed is unpacked within a limit", () => {
  test("an LZ4 block that repeats without end", () => {
    const many = Array(4000).fill(255);
    const block = [0x1f, 0x41, 1, 0, ...many, 0];
    const frame = bytesOf(
      [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0],
      u32(block.length),
      block,
      u32(0),
    );
    expect(unpackLz4(frame, 4_000_000).length).toBeGreaterThan(1_000_000);
    expect(() => unpackLz4(frame, 65_536)).toThrow("more than 65536 bytes");
  });
  test("an LZ4 copy from before its beginning", () => {
    const frame = bytesOf(
      [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0],
      u32(4),
      [0x14, 0x41, 9, 0],
      u32(0),
    );
    expect(() => unpackLz4(frame, 4096)).toThrow("broken");
  });
});

test("pickles inside pickles inside pickles are refused before they are deep", () => {
  let inner = bytesOf("N.");
  for (let i = 0; i < 8; i++) {
    inner = bytesOf(
      [0x80, 3, 0x63],
      "torch.storage\n_load_from_bytes\n",
      "B",
      u32(inner.length + legacy.length),
      legacy,
      [...inner] as number[],
      [0x85, 0x52],
      ".",
    );
  }
  expect(() => readForeignFile(inner)).toThrow("inside each other");
});

/** Torch's older format up to its object: magic number, protocol, system. */
const legacy = [
  ...[0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e],
  ...[0x80, 2, 0x4d, 0xe9, 0x03, 0x2e],
  ...[0x80, 2, 0x7d, 0x2e],
];
