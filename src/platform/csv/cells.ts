import { z } from 'zod';
import { Eta } from '../http/fields';

/** A whole number as a cell holds it: digits and nothing else. */
export const WholeNumberCell = z.string().regex(/^\d+$/, 'a whole number is allowed').transform(Number);

/** A day of arrival; an empty cell: it is in the warehouse. */
export const EtaCell = z
  .string()
  .transform((text) => text || null)
  .pipe(Eta);
