import { Injectable } from '@nestjs/common';

/** Tells, inside this process, that events were committed, so that nobody waits for the next look at the log. */
@Injectable()
export class LogSignal {
  private readonly listeners: (() => void)[] = [];

  listen(listener: () => void): void {
    this.listeners.push(listener);
  }

  announce(): void {
    for (const listener of this.listeners) listener();
  }
}
