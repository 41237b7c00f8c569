/** Fresh names and seeds. Knows nothing of what they are for. */

/** Works on plain http too, where `crypto.randomUUID` does not exist. */
export function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function freshSeed(): number {
  const [word] = crypto.getRandomValues(new Uint32Array(1));
  return (word ?? 0) >>> 1;
}
