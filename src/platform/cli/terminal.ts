import { SingleBar } from 'cli-progress';
import type { Progress, Terminal } from './cli-command';

/** Where no bar can be drawn, progress is a line every so many milliseconds. */
const lineEvery = 3_000;

type Output = Pick<NodeJS.WriteStream, 'isTTY'> & NodeJS.WritableStream;

/** The terminal, or whatever standard output and standard error lead to. */
export const terminalOn = (out: Output, err: Output): Terminal => ({
  out: (line) => void out.write(`${line}\n`),
  note: (line) => void err.write(`${line}\n`),
  progress: (label, total) => (err.isTTY ? bar(label, total, err) : lines(label, total, err)),
});

function bar(label: string, total: number, stream: Output): Progress {
  const format = `${label} {bar} {percentage} %, {duration_formatted}`;
  const shown = new SingleBar({ format, stream, hideCursor: true, clearOnComplete: true });
  shown.start(total, 0);
  return {
    update(done, newTotal) {
      if (newTotal !== undefined) shown.setTotal(newTotal);
      shown.update(done);
    },
    end: () => shown.stop(),
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
