/** How many cases a property is tried with: `usual`, or `PROPERTY_RUNS` times as many. */
export const runs = (usual: number): number => Math.ceil(usual * Number(process.env.PROPERTY_RUNS ?? 1));
