/** Units of resampling: rows that depend on one another get one number, counted from 0. */
export function unitsOf<T>(items: Iterable<T>, keyOf: (item: T) => string | number): Int32Array {
  const numbers = new Map<string | number, number>();
  const units: number[] = [];
  for (const item of items) {
    const key = keyOf(item);
    const known = numbers.get(key) ?? numbers.size;
    numbers.set(key, known);
    units.push(known);
  }
  return Int32Array.from(units);
}
