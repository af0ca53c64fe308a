/** Works items, up to `width` of them at once, and gives the results in the order of the items. */
export async function* inOrder<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  width: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const underWay: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      const result = work(item);
      result.catch(() => undefined); // It is thrown when its turn has come.
      underWay.push(result);
      if (underWay.length >= width) yield await underWay.shift()!;
    }
    while (underWay.length > 0) yield await underWay.shift()!;
  } finally {
    await Promise.allSettled(underWay);
  }
}

/**
 * Like {@link inOrder}, for a source that goes on while its results are taken: items come, and results go, many at a time. A
 * result is given as soon as those before it are there, and never waits for a further item. Nothing is read while `width` items
 * are under way, those included whose results nobody took yet.
 *
 * What the source throws is thrown when all results before it were given. Who stops taking ends the source.
 */
export async function* inOrderAsReady<Item, Result>(
  source: AsyncIterable<readonly Item[]>,
  width: number,
  work: (item: Item) => Result | Promise<Result>,
): AsyncGenerator<Result[]> {
  const window = new Window<Result>(width);
  const reading = begin(source, window, work);
  void reading.catch(() => undefined).then(() => window.end());
  try {
    for (let results = await window.take(); results.length > 0; results = await window.take()) yield results;
    await reading;
  } finally {
    window.close();
  }
}

async function begin<Item, Result>(
  source: AsyncIterable<readonly Item[]>,
  window: Window<Result>,
  work: (item: Item) => Result | Promise<Result>,
): Promise<void> {
  for await (const items of source) {
    for (const item of items) {
      if (window.full) await window.room();
      if (window.closed) return;
      window.add(work(item));
    }
  }
}

const pending = Symbol('pending');

/** The results of items that are under way, in the order of the items: a ring. */
class Window<Result> {
  closed = false;
  private readonly ring: (Result | typeof pending)[];
  /** Places of the item whose result is to be given next, and of the item that is to come next. */
  private first = 0;
  private next = 0;
  private ended = false;
  private failure: { readonly error: unknown } | undefined;
  private whenReady: (() => void) | undefined;
  private whenRoom: (() => void) | undefined;

  constructor(private readonly width: number) {
    this.ring = new Array<typeof pending>(width).fill(pending);
  }

  get full(): boolean {
    return this.next - this.first === this.width;
  }

  add(result: Result | Promise<Result>): void {
    const place = this.next++;
    if (!(result instanceof Promise)) return this.put(place, result);
    result.then(
      (value) => this.put(place, value),
      (error: unknown) => {
        this.failure ??= { error };
        this.whenReady?.();
      },
    );
  }

  /** The results that are there, from the first on; none: there will be no more. */
  async take(): Promise<Result[]> {
    for (;;) {
      const results: Result[] = [];
      for (
        let result = this.at(this.first);
        this.first < this.next && result !== pending;
        result = this.at(this.first)
      ) {
        results.push(result);
        this.ring[this.first++ % this.width] = pending;
      }
      if (results.length > 0) this.whenRoom?.();
      if (results.length > 0 || (this.ended && this.first === this.next)) return results;
      if (this.failure) throw this.failure.error;
      await new Promise<void>((resolve) => (this.whenReady = resolve));
    }
  }

  /** Waits until an item may be added. */
  async room(): Promise<void> {
    while (this.full && !this.closed) await new Promise<void>((resolve) => (this.whenRoom = resolve));
  }

  /** No more items come. */
  end(): void {
    this.ended = true;
    this.whenReady?.();
  }

  /** No more results are taken. */
  close(): void {
    this.closed = true;
    this.whenRoom?.();
  }

  private at(place: number): Result | typeof pending {
    return this.ring[place % this.width]!;
  }

  private put(place: number, result: Result): void {
    this.ring[place % this.width] = result;
    if (place === this.first) this.whenReady?.();
  }
}
