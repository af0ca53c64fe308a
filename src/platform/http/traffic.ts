import { Injectable } from '@nestjs/common';
import { Outstanding } from '../outstanding';

/** The requests that are being answered, and whether the service still wants more of them. */
@Injectable()
export class Traffic {
  readonly requests = new Outstanding();
  #leaving = false;

  /** True from the moment that the service was told to stop. */
  get leaving(): boolean {
    return this.#leaving;
  }

  leave(): void {
    this.#leaving = true;
  }
}
