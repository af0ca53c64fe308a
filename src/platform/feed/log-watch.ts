import { Injectable } from '@nestjs/common';
import { LogSignal } from '../event-log/log-signal';

/** Milliseconds between looks at the log, for events of other replicas and those that were kept back. */
const lookEvery = 50;

/** Tells all who follow the log at the same moment when to look again, so that one look is enough for them. */
@Injectable()
export class LogWatch {
  readonly #waiting = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(signal: LogSignal) {
    signal.listen(() => this.#wakeAll());
  }

  /** Waits until this process has committed events, or for the next look, or until `signal` is aborted. */
  async next(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.#timer ??= setTimeout(() => this.#wakeAll(), lookEvery);
    let wake = (): void => undefined;
    const woken = new Promise<void>((resolve) => (wake = resolve));
    this.#waiting.add(wake);
    signal.addEventListener('abort', wake);
    await woken;
    signal.removeEventListener('abort', wake);
    this.#waiting.delete(wake);
  }

  #wakeAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const wake of this.#waiting) wake();
  }
}
