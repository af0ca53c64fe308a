import { PassThrough } from 'node:stream';
import { table, terminalOn } from '../../src/platform/cli/terminal';

class Screen extends PassThrough {
  text = '';
  readonly isTTY: boolean;

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
    this.on('data', (chunk) => (this.text += String(chunk)));
  }

  readonly cursorTo = (): boolean => true;
  readonly clearLine = (): boolean => true;
}

describe('The terminal', () => {
  afterEach(() => {
    jest.useRealTimers();
  });

  it('shows results on one stream, and all the rest on the other', () => {
    const [out, err] = [new Screen(false), new Screen(false)];
    const terminal = terminalOn(out as never, err as never);
    terminal.out('result');
    terminal.note('note');
    expect([out.text, err.text]).toEqual(['result\n', 'note\n']);
  });

  it('draws a bar where somebody looks, away from the results', () => {
    const [out, err] = [new Screen(true), new Screen(true)];
    const progress = terminalOn(out as never, err as never).progress('work', 10);
    progress.update(5);
    progress.update(5, 20);
    progress.end();
    expect(err.text).toContain('work');
    expect(err.text).toContain('25 %');
    expect(out.text).toBe('');
  });

  it('says a line every few seconds where nobody looks', () => {
    jest.useFakeTimers();
    const err = new Screen(false);
    const progress = terminalOn(new Screen(false) as never, err as never).progress('work', 10);
    for (let done = 1; done <= 10; done += 1) {
      progress.update(done);
      jest.advanceTimersByTime(1_000);
    }
    progress.end();
    expect(err.text).toBe('work: 40 %\nwork: 70 %\nwork: 100 %\n');
  });

  it('aligns the columns of a table', () => {
    expect(
      table([
        ['name', 'n'],
        ['a', 1],
        ['bcdef', 22],
      ]),
    ).toEqual(['name   n', 'a      1', 'bcdef  22']);
    expect(table([])).toEqual([]);
  });
});
