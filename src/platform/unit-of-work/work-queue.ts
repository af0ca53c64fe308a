/** Something that waits for its keys. */
export interface Waiting {
  /** Arrival: its place among all others. */
  readonly place: number;
  readonly keys: readonly string[];
}

/** How large a group may be. */
export interface GroupLimits {
  readonly works: number;
  readonly keys: number;
}

/**
 * Works in the order of their arrival, and the keys that are taken. A waiting work reserves its keys against everything
 * behind it: works of one key keep their order, and a work of many keys is not starved by works of few.
 */
export class WorkQueue<Work extends Waiting> {
  private waiting: Work[] = [];
  private readonly taken = new Set<string>();
  /**
   * Keys that were locked by someone else when last tried, and their turns: who was tried last is tried again last. Only
   * {@link takeContended} gives works of these out.
   */
  private readonly contended = new Map<string, number>();
  private turns = 0;
  private readonly demand = new Map<string, number>();

  get length(): number {
    return this.waiting.length;
  }

  /** @returns whether a group may form because of it: nothing before it, waiting or under way, touches its keys */
  add(work: Work): boolean {
    const first = work.keys.every((key) => !this.taken.has(key) && !this.demand.has(key));
    let place = this.waiting.length;
    while (place > 0 && this.waiting[place - 1]!.place > work.place) place -= 1;
    this.waiting.splice(place, 0, work);
    this.count(work, 1);
    return first;
  }

  /** Puts works back into their places. */
  putBack(works: readonly Work[]): void {
    if (works.length === 0) return;
    this.waiting = [...this.waiting, ...works].sort((a, b) => a.place - b.place);
    for (const work of works) this.count(work, 1);
  }

  /** Takes the next group, with its keys: as many as the limits allow, at least one; empty if nothing can go now. */
  take(limits: GroupLimits): Work[] {
    const reserved = new Set(this.contended.keys());
    const keys = new Set<string>();
    const group: Work[] = [];
    for (const work of this.waiting) {
      if (group.length === limits.works) break;
      const fresh = work.keys.filter((key) => !keys.has(key));
      const free = work.keys.every((key) => !reserved.has(key) && !this.taken.has(key));
      if (free && (group.length === 0 || keys.size + fresh.length <= limits.keys)) {
        group.push(work);
        for (const key of fresh) keys.add(key);
      } else {
        for (const key of work.keys) reserved.add(key);
      }
    }
    this.remove(group);
    for (const key of keys) this.taken.add(key);
    return group;
  }

  /**
   * Takes the keys of a work that has contended ones and is not held up by others before it: of those, the one whose
   * turn it is. Undefined if there is none.
   */
  takeContended(): readonly string[] | undefined {
    if (this.contended.size === 0) return undefined;
    const reserved = new Set<string>();
    let next: { readonly keys: readonly string[]; readonly turn: number } | undefined;
    for (const { keys } of this.waiting) {
      const turn = Math.min(...keys.map((key) => this.contended.get(key) ?? Infinity));
      const free = keys.every((key) => !reserved.has(key) && !this.taken.has(key));
      if (free && turn < (next?.turn ?? Infinity)) next = { keys, turn };
      for (const key of keys) reserved.add(key);
    }
    if (!next) this.contended.clear();
    for (const key of next?.keys ?? []) this.taken.add(key);
    return next?.keys;
  }

  /** Takes the works that need no other keys than `keys`, which are taken and had; the keys are no longer contended. */
  takeAllOf(keys: readonly string[], limits: GroupLimits): Work[] {
    const had = new Set(keys);
    const reserved = new Set<string>();
    const group: Work[] = [];
    for (const work of this.waiting) {
      if (group.length === limits.works) break;
      if (work.keys.every((key) => had.has(key) && !reserved.has(key))) group.push(work);
      else for (const key of work.keys) reserved.add(key);
    }
    this.remove(group);
    for (const key of keys) this.contended.delete(key);
    return group;
  }

  /** Frees keys that were taken. */
  free(keys: Iterable<string>): void {
    for (const key of keys) this.taken.delete(key);
  }

  /** Notes that someone else holds the locks of keys. */
  markContended(keys: Iterable<string>): void {
    this.turns += 1;
    for (const key of keys) this.contended.set(key, this.turns);
  }

  /** Takes out, for good, the works that `isOver`. */
  drop(isOver: (work: Work) => boolean): Work[] {
    const over = this.waiting.filter(isOver);
    this.remove(over);
    return over;
  }

  private remove(works: readonly Work[]): void {
    if (works.length === 0) return;
    const gone = new Set(works);
    this.waiting = this.waiting.filter((work) => !gone.has(work));
    for (const work of works) this.count(work, -1);
  }

  private count(work: Work, by: 1 | -1): void {
    for (const key of work.keys) {
      const left = (this.demand.get(key) ?? 0) + by;
      if (left === 0) this.demand.delete(key);
      else this.demand.set(key, left);
    }
  }
}
