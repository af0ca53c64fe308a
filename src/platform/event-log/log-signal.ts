import { Injectable } from '@nestjs/common';

/** Tells, inside this process, that events were committed, so that nobody waits for the next look at the log. */
@Injectable()
export class LogSignal {
  private listener: () => void = () => undefined;

  listen(listener: () => void): void {
    this.listener = listener;
  }

  announce(): void {
    this.listener();
  }
}
