import { DomainError } from './domain-error';

/**
 * The Unit of Work: an atomic piece of work over aggregates.
 *
 * `Needs` name beforehand which aggregates the work touches; `Repository` is the in-memory collection of them that the
 * work sees. How and with whom it is committed is the implementation's business.
 */
export abstract class UnitOfWork<Needs, Repository> {
  /**
   * Locks and loads what `needs` name, calls `work`, and commits what it changed with the events it recorded.
   *
   * `work` is synchronous, without side effects outside the repository, and may be called more than once. If it throws,
   * nothing happened and the error is passed on.
   *
   * @returns what `work` returned, once it is durable
   * @throws Overloaded when the work was not tried; OutcomeUnknown when it cannot be told whether it was committed
   */
  abstract run<T>(needs: Needs, work: (repository: Repository) => T): Promise<T>;
}

/** The aggregates of one kind that a work needs. One that does not exist yet is one of version 0. */
export interface AggregatesByKey<Root> {
  get(key: string): Root;
}

/** Works that are tried and never stored: explanations, plans. */
export abstract class DryRun<Needs, Repository> {
  /**
   * Lends a unit of work that stores nothing. Its works see all that was committed before, as it stood at one moment, and
   * what the works before them did; one that throws leaves nothing behind. Nobody waits for it: it takes no locks.
   *
   * @returns what `use` returned
   * @throws Overloaded when it cannot be done now
   */
  abstract preview<T>(use: (unitOfWork: UnitOfWork<Needs, Repository>) => Promise<T>): Promise<T>;
}

/**
 * Thrown by an aggregate that meets something which was not loaded. The unit of work catches it, loads what it names in
 * the same transaction and repeats the work; no one else sees it.
 */
export class NotLoaded<Needs> extends Error {
  constructor(readonly needs: Needs) {
    super('not loaded');
    this.name = 'NotLoaded';
  }
}

/** The work was not tried and changed nothing: the service, or its database, is past its capacity or out of reach. */
export class Overloaded extends DomainError {
  constructor(
    message = 'The service has more work waiting than it can take. Nothing was changed; try again.',
    options?: ErrorOptions,
  ) {
    super('overloaded', 'unavailable', message, {}, options);
  }
}

/** The work may have been committed, and the database cannot be asked. Sending the same request again is safe. */
export class OutcomeUnknown extends DomainError {
  constructor() {
    super(
      'outcome-unknown',
      'unavailable',
      'The request may or may not have taken effect. Send the same request again.',
    );
  }
}
