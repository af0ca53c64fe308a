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

/** What a person sees of a text with the sequences that a bar is drawn by. */
function seen(text: string): string[] {
  const rows: string[] = [''];
  let [row, column] = [0, 0];
  let remembered = [row, column] as const;
  for (const [part] of text.matchAll(/\x1b[78]|\x1b\[[?\d]*[a-zA-Z]|\n|[^\x1b\n]+/g)) {
    const shown = rows[row] ?? '';
    if (part === '\n') [row, column] = [row + 1, 0];
    else if (part === '\x1b7') remembered = [row, column];
    else if (part === '\x1b8') [row, column] = remembered;
    else if (part === '\x1b[1G') column = 0;
    else if (part === '\x1b[2K') rows[row] = '';
    else if (part === '\x1b[0K') rows[row] = shown.slice(0, column);
    else if (!part.startsWith('\x1b')) {
      rows[row] = shown.slice(0, column) + part + shown.slice(column + part.length);
      column += part.length;
    }
  }
  return rows;
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

  it('shows what is said meanwhile above the bar, and leaves nothing else behind', () => {
    const screen = new Screen(true);
    const terminal = terminalOn(screen as never, screen as never);
    const progress = terminal.progress('work', 10);
    terminal.out('a result');
    progress.update(5);
    progress.update(5, 20);
    terminal.out('another one');
    expect(seen(screen.text)).toEqual(['a result', 'another one']);
    progress.update(20);
    terminal.note('a note');
    progress.end();
    terminal.note('a last note');
    expect(seen(screen.text)).toEqual(['a result', 'another one', 'a note', 'a last note']);
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
