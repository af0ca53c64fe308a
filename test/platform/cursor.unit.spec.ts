import fc from 'fast-check';
import { z } from 'zod';
import { decodeCursor, encodeCursor, InvalidCursor } from '../../src/platform/http/cursor';
import { Id } from '../../src/platform/http/fields';

const Place = z.strictObject({ sku: Id, ref: Id });
const forged = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('A cursor', () => {
  it('leads back to the place it was made of', () => {
    const ids = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/);
    fc.assert(
      fc.property(fc.record({ sku: ids, ref: ids }), (place) => {
        expect(decodeCursor(encodeCursor(place), Place)).toEqual(place);
      }),
    );
  });

  it.each([
    ['no base64', '%%%'],
    ['no JSON', Buffer.from('{').toString('base64url')],
    ['null', forged(null)],
    ['an array', forged([])],
    ['a member missing', forged({ sku: 'a' })],
    ['a member too many', forged({ sku: 'a', ref: 'b', admin: true })],
    ['SQL', forged({ sku: "'; DROP TABLE batch; --", ref: 'b' })],
    ['other members first', forged({ ref: 'b', sku: 'a' })],
    ['padding', `${forged({ sku: 'a', ref: 'b' })}==`],
  ])('is refused with %s', (_, cursor) => {
    expect(() => decodeCursor(cursor, Place)).toThrow(InvalidCursor);
  });

  it('of any text never does anything else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(() => decodeCursor(text, Place)).toThrow(InvalidCursor);
      }),
    );
  });
});
