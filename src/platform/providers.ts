import type { DiscoveryService } from '@nestjs/core';

/** The providers of all modules, each once: an alias (`useExisting`) is the same instance. */
export const allProviders = (discovery: DiscoveryService): unknown[] => [
  ...new Set(discovery.getProviders().map(({ instance }): unknown => instance)),
];

/** Those of them that are of a kind. */
export const providersOf = <T>(discovery: DiscoveryService, kind: abstract new (...args: never[]) => T): T[] =>
  allProviders(discovery).filter((provider): provider is T => provider instanceof kind);
