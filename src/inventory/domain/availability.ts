import { DomainError } from '../../kernel/domain-error';
import type { Availability, AvailableDay, EarliestLine, FreeUnits, Stock } from '../contract/queries';

const usualDays = 30;
const mostDays = 366;
const lastDay = '9999-12-31';
const millisecondsOfADay = 86_400_000;

/** The days that were asked for cannot be: the first is behind the last, or they are too many. */
export class InvalidRange extends DomainError {
  constructor(from: string, to: string) {
    super('invalid-range', 'invalid', `From ${from} to ${to} is no range of 1 to ${mostDays} days.`, {
      from,
      to,
      mostDays,
    });
  }
}

/** The day of an instant, in UTC. */
export const dayOf = (instant: Date): string => instant.toISOString().slice(0, 10);

/** The day by which batches are late at an ISO instant: its own, or today for an instant to come. */
export function dayAsOf(instant: string, today: string): string {
  const then = dayOf(new Date(instant));
  return then < today ? then : today;
}

/** An ISO date so many days later; the calendar ends with 9999-12-31. */
export function daysAfter(date: string, days: number): string {
  const time = Date.parse(date) + days * millisecondsOfADay;
  return time > Date.parse(lastDay) ? lastDay : dayOf(new Date(time));
}

/**
 * The day from which a batch counts. What is in the warehouse counts from today. What has an ETA counts from then; if that
 * has passed and it has not arrived, it can arrive today at the earliest, and counts from today.
 */
export const countedFrom = (eta: string | null, today: string): string => (eta === null || eta < today ? today : eta);

/** Both days are included; what is not given is today, and 30 days after the first. @throws InvalidRange */
export function rangeOf({ from, to }: { from?: string | undefined; to?: string | undefined }, today: string) {
  const first = from ?? today;
  const last = to ?? daysAfter(first, usualDays);
  if (last < first || last > daysAfter(first, mostDays - 1)) throw new InvalidRange(first, last);
  return { from: first, to: last };
}

/** What is free on each day of a range. On days before today nothing is: what was not promised then, can't be any more. */
export function availability(
  stock: Stock,
  { from, to }: { readonly from: string; readonly to: string },
  today: string,
  earliest: EarliestLine,
): Availability {
  const { sku, version, backordered } = stock;
  const free = freeUnits(stock, today).filter((units) => units.countedFrom <= to);
  return { sku, version, from, to, backordered, free, days: daysOf(free, from, to), earliest };
}

/** The batch that alone has the units of a line and comes first: the warehouse, then by ETA, then by reference. */
export function earliestLine(stock: Stock, qty: number, today: string): EarliestLine {
  const first = freeUnits(stock, today).find(({ units }) => units >= qty);
  return { qty, batchRef: first?.batchRef ?? null, date: first?.countedFrom ?? null };
}

/** In the order in which they begin to count; of one day, the warehouse first and then what was due first. */
function freeUnits({ batches }: Stock, today: string): FreeUnits[] {
  return batches
    .filter(({ available }) => available > 0)
    .map(({ ref: batchRef, available: units, eta, late }) => {
      return { batchRef, units, eta, late, countedFrom: countedFrom(eta, today) };
    })
    .sort((a, b) => byText(a.eta ?? '', b.eta ?? '') || byText(a.batchRef, b.batchRef));
}

function daysOf(free: readonly FreeUnits[], from: string, to: string): AvailableDay[] {
  const days: AvailableDay[] = [];
  let [next, available, largestLine] = [0, 0, 0];
  for (let date = from; ; date = daysAfter(date, 1)) {
    for (; next < free.length && free[next]!.countedFrom <= date; next += 1) {
      const { units } = free[next]!;
      available += units;
      largestLine = Math.max(largestLine, units);
    }
    days.push({ date, available, largestLine });
    if (date === to) return days;
  }
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
