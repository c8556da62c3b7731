/**
 * Things that come and go all the time, such as the calls in flight. A `Set` of them keeps garbage
 * alive: each time it is rehashed, the table that it leaves goes on pointing at the next one and at
 * what was in flight. Once one of these tables is old, the collector of young objects finds all that
 * follows reachable, so that a third of what ended calls leave stays until a full collection.
 */

/** Knows its place in the one bag that it may be in. */
export interface Placed {
  /** −1 where it is in none. Only the bag writes it. */
  place: number;
}

/** An array whose members know where they are: adding and removing cost nanoseconds. No order is kept. */
export class Bag<T extends Placed> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** Does nothing where it is in already. */
  add(member: T): void {
    if (member.place >= 0) return;
    member.place = this.#members.length;
    this.#members.push(member);
  }

  /** False where it was not in. */
  remove(member: T): boolean {
    const { place } = member;
    if (place < 0) return false;
    const last = this.#members.pop() as T;
    if (last !== member) {
      this.#members[place] = last;
      last.place = place;
    }
    member.place = -1;
    return true;
  }

  has(member: T): boolean {
    return member.place >= 0;
  }

  /** As they are now: who goes on to add or remove takes a copy. */
  get members(): readonly T[] {
    return this.#members;
  }
}
