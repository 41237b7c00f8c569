/** Ends of words in a text: the places where a prompt may end well. Knows nothing of the screen. */

export function wordEndAfter(text: string, offset: number): number {
  let end = offset;
  while (end < text.length && isSpace(text, end)) end += 1;
  while (end < text.length && !isSpace(text, end)) end += 1;
  return end;
}

export function wordEndBefore(text: string, offset: number): number {
  let end = offset;
  while (end > 0 && !isSpace(text, end - 1)) end -= 1;
  while (end > 0 && isSpace(text, end - 1)) end -= 1;
  return end;
}

export function wordEndNear(text: string, offset: number): number {
  if (offset > 0 && !isSpace(text, offset - 1) && (offset === text.length || isSpace(text, offset))) return offset;
  const before = wordEndBefore(text, offset);
  const after = wordEndAfter(text, offset);
  return offset - before < after - offset ? before : after;
}

function isSpace(text: string, offset: number): boolean {
  return /\s/.test(text.charAt(offset));
}
