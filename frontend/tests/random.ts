/** Chance that is the same on every run. */

export type Random = () => number;

/** Calls `check` with many seeds; a failure names the seed. */
export function randomly(times: number, check: (random: Random) => void): void {
  for (let seed = 1; seed <= times; seed += 1) {
    try {
      check(mulberry(seed));
    } catch (error) {
      throw new Error(`With seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
}

/** The first two emoji share their first half, the first and the last their second: a careless cut goes through them. */
const PIECES = ["a", "b", " ", "\n", "é", "🐻", "🐼", "🀻", "ab", "aba"];

/** Short texts of few different pieces, so that they overlap in tricky ways. */
export function randomText(random: Random): string {
  const length = Math.floor(random() * 12);
  return Array.from({ length }, () => PIECES[Math.floor(random() * PIECES.length)]).join("");
}

function mulberry(seed: number): Random {
  let state = seed * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
