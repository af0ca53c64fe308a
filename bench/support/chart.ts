/** A curve: what was measured at each number of waiting requests. */
export interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const colours = ['#8c564b', '#ff7f0e', '#1f77b4', '#2ca02c'];
const [width, height] = [760, 420];
const area = { left: 70, right: width - 20, top: 50, bottom: height - 55 };

/** Draws curves with logarithmic axes as an SVG that reads on light and dark pages. */
export function chartOf(title: string, xTitle: string, yTitle: string, curves: readonly Curve[]): string {
  const points = curves.flatMap((curve) => curve.points);
  const xs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b);
  const x = scale([xs[0]!, xs.at(-1)!], area.left, area.right);
  const powers = decadesAround(points.map(([, y]) => y));
  const y = scale([powers[0]!, powers.at(-1)!], area.bottom, area.top);
  const text = (at: [number, number], content: string | number, anchor = 'middle', more = ''): string =>
    `<text x="${at[0]}" y="${at[1]}" text-anchor="${anchor}" ${more}>${content}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text([width / 2, 22], title, 'middle', 'font-size="15" font-weight="bold"'),
    ...powers.flatMap((power) => [
      `<line x1="${area.left}" x2="${area.right}" y1="${y(power)}" y2="${y(power)}" stroke="#ddd"/>`,
      text([area.left - 8, y(power) + 4], power.toLocaleString('en'), 'end'),
    ]),
    ...xs.map((value) => text([x(value), area.bottom + 20], value)),
    text([(area.left + area.right) / 2, height - 14], xTitle),
    text(
      [16, (area.top + area.bottom) / 2],
      yTitle,
      'middle',
      `transform="rotate(-90 16 ${(area.top + area.bottom) / 2})"`,
    ),
    ...curves.flatMap(({ name, points }, index) => {
      const path = points.map(([px, py]) => `${x(px)},${y(py)}`).join(' ');
      const legend = area.left + 10 + index * 165;
      return [
        `<polyline points="${path}" fill="none" stroke="${colours[index]}" stroke-width="2.5"/>`,
        ...points.map(([px, py]) => `<circle cx="${x(px)}" cy="${y(py)}" r="3.5" fill="${colours[index]}"/>`),
        `<rect x="${legend}" y="32" width="12" height="4" fill="${colours[index]}"/>`,
        text([legend + 17, 38], name, 'start', 'font-size="11"'),
      ];
    }),
    '</svg>\n',
  ].join('\n');
}

function scale([from, to]: [number, number], start: number, end: number): (value: number) => number {
  const share = (value: number): number => Math.log(value / from) / Math.log(to / from);
  return (value) => Math.round((start + share(value) * (end - start)) * 10) / 10;
}

function decadesAround(values: readonly number[]): number[] {
  const from = Math.floor(Math.log10(Math.min(...values)));
  const to = Math.ceil(Math.log10(Math.max(...values)));
  return Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
}
