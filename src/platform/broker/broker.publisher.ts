import { Injectable } from '@nestjs/common';
import { Publisher } from '../event-log/subscriber';
import { Broker } from './broker';

/** Hands events on to the broker; where none is configured it is passed by. */
@Injectable()
export abstract class BrokerPublisher extends Publisher {
  constructor(protected readonly broker: Broker) {
    super();
  }

  override get hasReceiver(): boolean {
    return this.broker.isConfigured;
  }
}
