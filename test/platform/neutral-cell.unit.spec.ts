import { neutralCell } from '../../src/platform/csv/neutral-cell';

describe('A cell for a spreadsheet', () => {
  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '=cmd|’/c calc’!A0'])('is no formula any more: %j', (text) =>
    expect(neutralCell(text)).toBe(`'${text}`),
  );

  it.each(['', 'SMALL-TABLE', '2026-12-24', ' =1', "'=1", 'a=1'])('stays as it is if it was none: %j', (text) =>
    expect(neutralCell(text)).toBe(text),
  );
});
