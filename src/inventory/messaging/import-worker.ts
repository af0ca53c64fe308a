import { Injectable, Logger } from '@nestjs/common';
import { inContext } from '../../platform/request-context';
import { Sleeper } from '../../platform/sleeper';
import { Worker } from '../../platform/workers';
import { ImportWork } from './import-work';
import { Imports } from './imports';

/** Commands under way at once: few enough to let requests through. */
const width = 16;
/** Milliseconds from look to look at what others left. */
const look = 1_000;

/** Applies imports that were uploaded, and those that a process left unfinished. Replicas take turns. */
@Injectable()
export class ImportWorker extends Worker {
  private readonly logger = new Logger(ImportWorker.name);
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private readonly sleeper = new Sleeper();

  constructor(
    private readonly imports: Imports,
    private readonly work: ImportWork,
  ) {
    super();
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Ends at the next row; the import goes on where it was as soon as somebody is there again. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.sleeper.wake();
    await this.running;
  }

  /** There is an import to be applied. */
  announce(): void {
    this.sleeper.wake();
  }

  private async run(): Promise<void> {
    const stop = this.stopping.signal;
    while (!stop.aborted) {
      this.sleeper.beginRound();
      try {
        const id = await this.imports.findWaiting();
        if (id !== undefined && (await this.applyInContext(id, stop))) continue;
        if (id === undefined) await this.imports.tidyUp();
      } catch (error) {
        this.logger.warn(`an import could not go on, and is tried again: ${String(error)}`);
      }
      await this.sleeper.sleep(look);
    }
  }

  private applyInContext(id: string, stop: AbortSignal): Promise<boolean> {
    const context = { actor: 'import', correlationId: id, causationId: null };
    return inContext(context, () => this.work.apply(id, { width, stop }));
  }
}
