/** The bag against a set, whatever comes and goes. */
import { describe, expect, test } from "bun:test";
import { Bag, type Placed } from "./bag.ts";
import { createRandom } from "./random.ts";

interface Thing extends Placed {
  readonly name: string;
}

const thing = (name: string): Thing => ({ name, place: -1 });

describe("a bag", () => {
  test("holds what was added and not removed, each thing once", () => {
    const bag = new Bag<Thing>();
    const [a, b, c] = [thing("a"), thing("b"), thing("c")];
    for (const each of [a, b, b, c]) bag.add(each);
    expect(bag.size).toBe(3);
    expect(bag.remove(a)).toBe(true);
    expect(bag.remove(a)).toBe(false);
    expect([bag.has(a), bag.has(b), bag.has(c)]).toEqual([false, true, true]);
    expect(bag.members.map(({ name }) => name).toSorted()).toEqual(["b", "c"]);
    bag.add(a);
    expect(bag.size).toBe(3);
  });

  test("does as a set does, in whatever order things come and go", () => {
    const random = createRandom(7);
    const things = Array.from({ length: 40 }, (_, n) => thing(String(n)));
    const bag = new Bag<Thing>();
    const set = new Set<Thing>();
    for (let step = 0; step < 4_000; step++) {
      const one = things[Math.floor(random.next() * things.length)] as Thing;
      if (random.next() < 0.5) {
        bag.add(one);
        set.add(one);
      } else expect(bag.remove(one)).toBe(set.delete(one));
      expect(bag.size).toBe(set.size);
    }
    expect(new Set(bag.members)).toEqual(set);
    for (const [at, { place }] of bag.members.entries()) expect(place).toBe(at);
  });
});
