import { type DynamicModule, Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Database } from './database';
import { dataSourceOptions } from './data-source-options';

/** The connection pool, for everyone. */
@Global()
@Module({})
export class DatabaseModule {
  static forRoot({ databaseUrl }: { readonly databaseUrl: string }): DynamicModule {
    return {
      module: DatabaseModule,
      imports: [
        TypeOrmModule.forRoot({
          ...dataSourceOptions(databaseUrl),
          retryAttempts: 0,
          migrationsRun: false,
          synchronize: false,
        }),
      ],
      providers: [Database],
      exports: [Database],
    };
  }
}
