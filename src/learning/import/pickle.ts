/**
 * Python's pickle format, read as data: a stack machine that builds plain values and calls nothing.
 * Every class and function that a pickle names is looked up in an allow-list (`globals.ts`), whatever
 * way the name was made; one that is not there ends the import, with its name in the error.
 * Source: https://docs.python.org/3/library/pickle.html and pickletools.py (protocols 0 to 5)
 */
import type { PickleOptions } from "./pickle-options.ts";
import { decodeEscapes, toInteger } from "./pickle-text.ts";
import type { Reader } from "./reader.ts";
import { Instance, importLimits, Named, refuseImport, type Value } from "./values.ts";

/** One pickle from where the reader stands; the reader is left behind its end. */
export function readPickle(reader: Reader, options: PickleOptions): Value {
  const machine: Machine = { reader, options, stack: [], marks: [], memo: new Map() };
  const { budget } = options;
  for (;;) {
    if (--budget.operations < 0) {
      refuseImport(`the pickle takes more than ${importLimits.operations} steps`);
    }
    const code = reader.u8();
    if (code === stop) return pop(machine);
    const operation = operations[code];
    if (!operation) refuseImport(`the pickle has an unknown operation (0x${code.toString(16)})`);
    operation(machine);
    const { stack, memo, marks } = machine;
    if (stack.length + memo.size > importLimits.stack || marks.length > importLimits.marks) {
      refuseImport(`the pickle holds more than ${importLimits.stack} values`);
    }
  }
}

interface Machine {
  readonly reader: Reader;
  readonly options: PickleOptions;
  readonly stack: Value[];
  /** Heights of the stack. */
  readonly marks: number[];
  readonly memo: Map<number, Value>;
}

type Operation = (machine: Machine) => void;

const stop = 0x2e;

function pop({ stack, marks }: Machine): Value {
  const floor = marks.at(-1) ?? 0;
  const value = stack.length > floor ? stack.pop() : undefined;
  if (value === undefined) refuseImport("the pickle takes from an empty stack");
  return value;
}

function top({ stack }: Machine): Value {
  const value = stack.at(-1);
  if (value === undefined) refuseImport("the pickle takes from an empty stack");
  return value;
}

function popMark({ stack, marks }: Machine): Value[] {
  const height = marks.pop();
  if (height === undefined) refuseImport("the pickle takes a mark that it never set");
  return stack.splice(height);
}

function push({ stack }: Machine, value: Value): void {
  stack.push(value);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function text(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    return refuseImport("a text in the pickle is not UTF-8", cause);
  }
}

function pop2(machine: Machine): [Value, Value] {
  const second = pop(machine);
  return [pop(machine), second];
}

function named(machine: Machine, module: Value, name: Value): void {
  if (typeof module !== "string" || typeof name !== "string") {
    refuseImport("the pickle names a class by something that is no text");
  }
  push(machine, machine.options.globals.find(module, name));
}

function asArray(value: Value): Value[] {
  return Array.isArray(value) ? value : refuseImport("the pickle calls something without a tuple");
}

/** A class or function on a tuple: the allow-list says what becomes of it. */
function call(machine: Machine, callable: Value, args: Value): void {
  if (!(callable instanceof Named)) refuseImport("the pickle calls something that has no name");
  push(machine, machine.options.globals.call(callable, asArray(args), machine.options.budget));
}

function append(target: Value, items: readonly Value[]): void {
  const list = target instanceof Instance ? target.items : target;
  if (!Array.isArray(list)) refuseImport("the pickle appends to something that is no list");
  for (const item of items) list.push(item);
}

function setItems(target: Value, items: readonly Value[]): void {
  const map = target instanceof Map ? target : target instanceof Instance ? target.entries : null;
  if (!map) refuseImport("the pickle sets items of something that is no dict");
  if (items.length % 2 !== 0) refuseImport("the pickle sets a key without a value");
  for (let i = 0; i < items.length; i += 2) map.set(items[i] as Value, items[i + 1] as Value);
}

function memoize(machine: Machine, at: number): void {
  machine.memo.set(at, top(machine));
}

function recall(machine: Machine, at: number): void {
  const value = machine.memo.get(at);
  if (value === undefined) refuseImport("the pickle asks for a value that it never kept");
  push(machine, value);
}

const index = (line: string): number => Number(toInteger(line));

/** By their numbers; what is not here (extensions, buffers out of band) is refused. */
const operations: Readonly<Record<number, Operation>> = {
  128: ({ reader }) => {
    const protocol = reader.u8();
    if (protocol > 5) refuseImport(`the pickle is of protocol ${protocol}; 0 to 5 are known`);
  },
  // A frame only says how far to read ahead; what it holds is read as if it were not there.
  149: ({ reader }) => {
    const length = reader.u64();
    if (length > reader.left) refuseImport("the pickle has a frame that is longer than the file");
  },
  40: ({ stack, marks }) => void marks.push(stack.length), // MARK
  48: (m) => {
    // POP: of a mark where there is nothing above it
    if (m.marks.at(-1) === m.stack.length) m.marks.pop();
    else pop(m);
  },
  49: (m) => void popMark(m),
  50: (m) => push(m, top(m)),
  // Constants and numbers
  78: (m) => push(m, null),
  136: (m) => push(m, true),
  137: (m) => push(m, false),
  73: (m) => {
    const line = m.reader.line(); // INT: 00 and 01 are booleans
    push(m, line === "00" ? false : line === "01" ? true : toInteger(line));
  },
  76: (m) => push(m, toInteger(m.reader.line().replace(/L$/, ""))),
  74: (m) => push(m, m.reader.i32()),
  75: (m) => push(m, m.reader.u8()),
  77: (m) => push(m, m.reader.u16()),
  138: (m) => push(m, longOf(m.reader.take(m.reader.u8()))),
  139: (m) => push(m, longOf(m.reader.take(m.reader.i32()))),
  70: (m) => push(m, toFloat(m.reader.line())),
  71: (m) => push(m, m.reader.f64()),
  // Texts and bytes; a Python 2 string is read as text
  83: (m) => push(m, decodeEscapes(m.reader.line())),
  84: (m) => push(m, text(m.reader.take(m.reader.i32()))),
  85: (m) => push(m, text(m.reader.take(m.reader.u8()))),
  86: (m) => push(m, decodeEscapes(m.reader.line(), "unicode")),
  88: (m) => push(m, text(m.reader.take(m.reader.u32()))),
  140: (m) => push(m, text(m.reader.take(m.reader.u8()))),
  141: (m) => push(m, text(m.reader.take(m.reader.u64()))),
  66: (m) => push(m, m.reader.take(m.reader.u32())),
  67: (m) => push(m, m.reader.take(m.reader.u8())),
  142: (m) => push(m, m.reader.take(m.reader.u64())),
  150: (m) => push(m, m.reader.take(m.reader.u64())),
  // Containers
  93: (m) => push(m, []),
  41: (m) => push(m, []),
  125: (m) => push(m, new Map()),
  143: (m) => push(m, []),
  108: (m) => push(m, popMark(m)),
  116: (m) => push(m, popMark(m)),
  145: (m) => push(m, popMark(m)),
  100: (m) => {
    const items = popMark(m);
    const map = new Map<Value, Value>();
    setItems(map, items);
    push(m, map);
  },
  133: (m) => push(m, [pop(m)]),
  134: (m) => push(m, pop2(m)),
  135: (m) => {
    const [second, third] = pop2(m);
    push(m, [pop(m), second, third]);
  },
  97: (m) => {
    const item = pop(m);
    append(top(m), [item]);
  },
  101: (m) => {
    const items = popMark(m);
    append(top(m), items);
  },
  144: (m) => {
    const items = popMark(m);
    append(top(m), items);
  },
  115: (m) => {
    const pair = pop2(m);
    setItems(top(m), pair);
  },
  117: (m) => {
    const items = popMark(m);
    setItems(top(m), items);
  },
  // The memo
  112: (m) => memoize(m, index(m.reader.line())),
  113: (m) => memoize(m, m.reader.u8()),
  114: (m) => memoize(m, m.reader.u32()),
  148: (m) => memoize(m, m.memo.size),
  103: (m) => recall(m, index(m.reader.line())),
  104: (m) => recall(m, m.reader.u8()),
  106: (m) => recall(m, m.reader.u32()),
  // Names and objects
  99: (m) => {
    const module = m.reader.line();
    named(m, module, m.reader.line());
  },
  147: (m) => named(m, ...pop2(m)),
  82: (m) => call(m, ...pop2(m)),
  129: (m) => call(m, ...pop2(m)),
  146: (m) => {
    const options = pop(m);
    const [callable, args] = pop2(m);
    if (!(options instanceof Map) || options.size > 0) {
      refuseImport("the pickle makes an object with arguments by name");
    }
    call(m, callable, args);
  },
  105: (m) => {
    const module = m.reader.line();
    named(m, module, m.reader.line());
    const callable = pop(m);
    call(m, callable, popMark(m));
  },
  111: (m) => {
    const [callable, ...args] = popMark(m);
    call(m, callable ?? null, args);
  },
  98: (m) => {
    const state = pop(m);
    const target = pop(m);
    push(m, m.options.globals.build(target, state, m.reader, m.options));
  },
  80: (m) => persistent(m, m.reader.line()),
  81: (m) => persistent(m, pop(m)),
};

function persistent(machine: Machine, id: Value): void {
  const { persistent } = machine.options;
  if (!persistent) {
    refuseImport("the pickle refers to data outside of it (a persistent id), and there is none");
  }
  push(machine, persistent(id));
}

/** Little-endian, two's complement. */
function longOf(bytes: Uint8Array): number | bigint {
  if (bytes.length > importLimits.integerBytes) {
    refuseImport(`the pickle holds an integer of ${bytes.length} bytes`);
  }
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  const bits = BigInt(bytes.length * 8);
  const signed = bytes.length > 0 ? BigInt.asIntN(Number(bits), value) : 0n;
  const number = Number(signed);
  return Number.isSafeInteger(number) ? number : signed;
}

function toFloat(line: string): number {
  if (line === "nan") return Number.NaN;
  const value = Number(line.replace("inf", "Infinity"));
  return Number.isNaN(value) ? refuseImport("the pickle holds a number that is none") : value;
}
