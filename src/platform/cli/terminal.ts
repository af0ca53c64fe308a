import { clearLine, cursorTo } from 'node:readline';
import { SingleBar } from 'cli-progress';
import type { Progress, Terminal } from './cli-command';

/** Where no bar can be drawn, progress is a line every so many milliseconds. */
const lineEvery = 3_000;
/** DECSC, to which the bar returns (DECRC) when it ends. */
const rememberPlace = '\x1b7';
/** A bar turns it off, so that one that is too long stays in its line. */
const wrap = { on: '\x1b[?7h', off: '\x1b[?7l' };

type Output = Pick<NodeJS.WriteStream, 'isTTY'> & NodeJS.WritableStream;

/** The terminal, or whatever standard output and standard error lead to. */
export function terminalOn(out: Output, err: Output): Terminal {
  let bars = 0;
  const write = (stream: Output, line: string): void => {
    if (bars === 0 || !stream.isTTY) return void stream.write(`${line}\n`);
    // What is said takes the place of the bar, which is drawn again below when it has changed.
    eraseLine(err);
    stream.write(`${wrap.on}${line}\n${wrap.off}`);
  };
  return {
    out: (line) => write(out, line),
    note: (line) => write(err, line),
    progress(label, total) {
      if (!err.isTTY) return lines(label, total, err);
      bars += 1;
      return bar(label, total, err, () => (bars -= 1));
    },
  };
}

function eraseLine(stream: Output): void {
  cursorTo(stream, 0);
  clearLine(stream, 0);
}

function bar(label: string, total: number, stream: Output, onEnd: () => void): Progress {
  const format = `${label} {bar} {percentage} %, {duration_formatted}`;
  const shown = new SingleBar({ format, stream, hideCursor: true, clearOnComplete: true });
  shown.start(total, 0);
  return {
    update(done, newTotal) {
      if (newTotal !== undefined) shown.setTotal(newTotal);
      shown.update(done);
    },
    end() {
      // The bar erases the line that it remembers: this one, which is another one if something was said since it began.
      stream.write(rememberPlace);
      shown.stop();
      onEnd();
    },
  };
}

function lines(label: string, total: number, stream: Output): Progress {
  let nextAt = Date.now() + lineEvery;
  let of = total;
  return {
    update(done, newTotal = of) {
      of = newTotal;
      if (Date.now() < nextAt) return;
      nextAt = Date.now() + lineEvery;
      stream.write(`${label}: ${Math.floor((100 * done) / Math.max(1, of))} %\n`);
    },
    end: () => undefined,
  };
}

/** Columns that are as wide as what they hold. */
export function table(rows: readonly (readonly (string | number)[])[]): string[] {
  const texts = rows.map((row) => row.map(String));
  const widths = (texts[0] ?? []).map((_, column) => Math.max(...texts.map((row) => row[column]!.length)));
  return texts.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}
