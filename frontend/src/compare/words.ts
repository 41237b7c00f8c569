/** Which words of one text are not in another, in order. Knows nothing of columns or colours. */

export interface Stretch {
  readonly text: string;
  readonly differs: boolean;
}

export interface Difference {
  readonly stretches: readonly Stretch[];
  readonly numShared: number;
  readonly numWords: number;
}

/** Beyond this many pairs of words the comparison would be felt; the text is then shown unmarked. */
const MAX_PAIRS = 4_000_000;
/** Fewer words in a row than this are alike by accident, unless both texts begin with them. */
const MIN_RUN = 3;
/** With less than this in common, two texts have nothing to do with each other. */
const MIN_SHARE = 0.1;

export function differingWords(text: string, reference: string): Difference {
  const words = split(text);
  const others = split(reference);
  const numWords = words.length;
  if (words.length * others.length > MAX_PAIRS) return unmarked(text, numWords);
  const shared = withoutAccidents(longestCommon(words, others), words, others);
  const numShared = shared.filter(Boolean).length;
  return numShared === 0 || numShared < MIN_SHARE * numWords ? unmarked(text, numWords) : { stretches: join(words, shared), numShared, numWords };
}

/** Marking every word would say no more than marking none. */
function unmarked(text: string, numWords: number): Difference {
  return { stretches: [{ text, differs: false }], numShared: 0, numWords };
}

/** Words with the space before them, so that the pieces put together are the text. */
function split(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

/** For each word, whether it belongs to the longest sequence that both texts have. */
function longestCommon(words: readonly string[], others: readonly string[]): boolean[] {
  const keys = words.map((word) => word.trim());
  const otherKeys = others.map((word) => word.trim());
  const lengths = commonLengths(keys, otherKeys);
  const width = otherKeys.length + 1;
  const shared = new Array<boolean>(keys.length).fill(false);
  for (let i = 0, j = 0; i < keys.length && j < otherKeys.length; ) {
    if (keys[i] === otherKeys[j]) {
      shared[i] = true;
      i += 1;
      j += 1;
    } else if ((lengths[(i + 1) * width + j] ?? 0) >= (lengths[i * width + j + 1] ?? 0)) i += 1;
    else j += 1;
  }
  return shared;
}

/** `[i, j]`: how many words the two texts have in common from words `i` and `j` on. */
function commonLengths(keys: readonly string[], others: readonly string[]): Uint16Array {
  const width = others.length + 1;
  const lengths = new Uint16Array((keys.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  for (let i = keys.length - 1; i >= 0; i -= 1) {
    for (let j = others.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = keys[i] === others[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  return lengths;
}

function withoutAccidents(shared: readonly boolean[], words: readonly string[], others: readonly string[]): boolean[] {
  const kept = [...shared];
  for (let start = 0; start < kept.length; ) {
    let end = start;
    while (end < kept.length && kept[end]) end += 1;
    const isBeginning = start === 0 && words[0]?.trim() === others[0]?.trim();
    if (end - start < MIN_RUN && !isBeginning) kept.fill(false, start, end);
    start = end + 1;
  }
  return kept;
}

function join(words: readonly string[], shared: readonly boolean[]): Stretch[] {
  const stretches: Stretch[] = [];
  words.forEach((word, index) => {
    const differs = shared[index] === false;
    const last = stretches.at(-1);
    if (last?.differs === differs) stretches[stretches.length - 1] = { text: last.text + word, differs };
    else stretches.push({ text: word, differs });
  });
  return stretches;
}
