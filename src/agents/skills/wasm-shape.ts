/**
 * What a module may declare: its memory is the one that it is given, and nothing beside it can grow. A
 * table, a memory of its own, objects of the collector and exceptions would lie outside `memory_mb`.
 * Source: WebAssembly core specification 3.0, §5.5 (binary format of modules).
 */

/** Entries of all tables together; compilers make one of a module's functions. */
export const maxTableEntries = 100_000;

const sections = { type: 1, table: 4, memory: 5, tag: 13 } as const;
const functionType = 0x60;

/** @param module valid: it has been compiled. @throws Error what is declared that may not be, and the way out */
export function assertBounded(module: Uint8Array): void {
  let at = 8; // magic, version
  const byte = () => module[at++] ?? 0;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const part = byte();
      value += (part & 0x7f) * 2 ** shift;
      if (part < 0x80) return value;
    }
  };
  while (at < module.length) {
    const id = byte();
    const size = number();
    const end = at + size;
    const count = id === 0 ? 0 : number();
    if (id === sections.memory && count > 0)
      throw new Error("it has a memory of its own; import env.memory");
    if (id === sections.tag && count > 0)
      throw new Error("it has exceptions of its own; compile it without");
    if (id === sections.type) assertFunctions(count);
    if (id === sections.table) assertTables(count);
    at = end;
  }

  function assertFunctions(count: number): void {
    for (let i = 0; i < count; i++) {
      if (byte() !== functionType)
        throw new Error("it has types of the collector; compile it without");
      for (let left = number(); left > 0; left--) skipValueType(); // parameters
      for (let left = number(); left > 0; left--) skipValueType(); // results
    }
  }

  /** (ref null ht) and (ref ht) have a heap type behind them. */
  function skipValueType(): void {
    const first = byte();
    if (first === 0x63 || first === 0x64) number();
  }

  function assertTables(count: number): void {
    let entries = 0;
    for (let i = 0; i < count; i++) {
      const first = byte();
      if (first === 0x40) throw new Error("it has a table with a first value; compile it without");
      if (first === 0x63 || first === 0x64) number();
      const flags = byte();
      number();
      if ((flags & 1) === 0) throw new Error("it has a table without a maximum; give it one");
      entries += number();
    }
    if (entries > maxTableEntries)
      throw new Error(`its tables may grow to ${entries} entries; the limit is ${maxTableEntries}`);
  }
}
