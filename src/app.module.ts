import { type DynamicModule, Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { AllocationModule } from './allocation/allocation.module';
import { InventoryModule } from './inventory/inventory.module';
import { NotificationsModule } from './notifications/notifications.module';
import type { ConfigWithDatabase } from './platform/config';
import { DatabaseModule } from './platform/database/database.module';
import { PlatformModule } from './platform/platform.module';

/** Events are facts once they are in the log, and nowhere else. */
const eventPublisher = {
  publish(): never {
    throw new Error('Nothing is published on the event bus: record events on aggregates, and the log delivers them.');
  },
};

/** Every module, each on top of those before it. A new one is one line more. */
export const modules = [PlatformModule, AllocationModule, InventoryModule, NotificationsModule];

/** The composition root: the one file that names every module. */
@Module({})
export class AppModule {
  static forRoot(config: ConfigWithDatabase): DynamicModule {
    return {
      module: AppModule,
      imports: [
        PlatformModule.forRoot(config),
        DatabaseModule.forRoot(config),
        CqrsModule.forRoot({ eventPublisher }),
        ...modules.filter((module) => module !== PlatformModule),
      ],
    };
  }
}
