import fc from 'fast-check';
import { type Line, linesOf } from '../../src/platform/lines';

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function read(bytes: AsyncIterable<Uint8Array>, longest = 1_000): Promise<Line[]> {
  const lines: Line[] = [];
  for await (const several of linesOf(bytes, longest)) lines.push(...several);
  return lines;
}

describe('The lines of a text', () => {
  it('are the same whatever pieces it comes in', async () => {
    const line = fc.string({ unit: 'binary' }).filter((text) => !/[\r\n]/.test(text));
    await fc.assert(
      fc.asyncProperty(
        fc.array(line),
        fc.constantFrom('\n', '\r\n'),
        fc.integer({ min: 1, max: 20 }),
        async (texts, end, size) => {
          const bytes = Buffer.from(texts.map((text) => text + end).join(''));
          expect(await read(pieces(bytes, size))).toEqual(texts.map((text, place) => ({ line: place + 1, text })));
        },
      ),
    );
  });

  it('may lack an end at the last one', async () => {
    expect(await read(pieces(Buffer.from('a\n\nb'), 2))).toEqual([
      { line: 1, text: 'a' },
      { line: 2, text: '' },
      { line: 3, text: 'b' },
    ]);
  });

  it.each([1, 7, 10_000])('are too long by their bytes, and spoil no other, in pieces of %d', async (size) => {
    const text = ['a', 'x'.repeat(11), 'x'.repeat(10), 'ä'.repeat(6), 'ä'.repeat(5), '', 'b', 'y'.repeat(500)].join(
      '\n',
    );
    expect(await read(pieces(Buffer.from(text), size), 10)).toEqual([
      { line: 1, text: 'a' },
      { line: 2, fault: 'too long' },
      { line: 3, text: 'x'.repeat(10) },
      { line: 4, fault: 'too long' },
      { line: 5, text: 'ä'.repeat(5) },
      { line: 6, text: '' },
      { line: 7, text: 'b' },
      { line: 8, fault: 'too long' },
    ]);
  });

  it.each([1, 3, 10_000])('spoil no other if one is not UTF-8, in pieces of %d', async (size) => {
    const bytes = Buffer.concat([Buffer.from('a\n'), Buffer.from([0x62, 0xff]), Buffer.from('\nc\n')]);
    expect(await read(pieces(bytes, size))).toEqual([
      { line: 1, text: 'a' },
      { line: 2, fault: 'not UTF-8' },
      { line: 3, text: 'c' },
    ]);
  });

  it('are given before the text breaks off, but for the one that broke off', async () => {
    const lines: Line[] = [];
    const broken = (async function* () {
      yield* pieces(Buffer.from('a\nb\nc'), 1);
      throw new Error('broken off');
    })();
    await expect(
      (async () => {
        for await (const several of linesOf(broken, 10)) lines.push(...several);
      })(),
    ).rejects.toThrow('broken off');
    expect(lines.map(({ text }) => text)).toEqual(['a', 'b']);
  });
});
