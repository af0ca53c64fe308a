import type { ArgumentMetadata, PipeTransform } from '@nestjs/common';
import { InvalidRequest } from './problem';

/** How many wrong places an answer names at most; a body can have any number of them. */
const mentioned = 20;
const longest = 300;

/** Validates every parameter that has a schema, `@Body({ schema })`, and hands on what the schema makes of it. */
export class SchemaPipe implements PipeTransform {
  /** @throws InvalidRequest */
  transform(value: unknown, { schema, type, data }: ArgumentMetadata): unknown {
    if (schema === undefined) return value;
    const result = schema['~standard'].validate(value);
    if (result instanceof Promise) throw new TypeError('A schema of a request must not be asynchronous.');
    if (result.issues === undefined) return result.value;
    const place = type === 'body' || data === undefined ? [] : [data];
    throw new InvalidRequest(
      result.issues.slice(0, mentioned).map(({ path = [], message }) => ({
        path: [...place, ...path.map((step) => String(typeof step === 'object' ? step.key : step))].join('.'),
        message: message.slice(0, longest),
      })),
    );
  }
}
