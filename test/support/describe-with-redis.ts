import { isRedisInstalled } from './redis';

/** A suite that needs a redis-server of its own: skipped where none is installed, unless nothing may be skipped. */
export const describeWithRedis = isRedisInstalled() || process.env.BATCHWISE_CI === '1' ? describe : describe.skip;
