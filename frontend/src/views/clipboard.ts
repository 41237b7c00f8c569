/** Copies text, also where the page is not in a secure context and the clipboard interface does not exist. */

export async function copyText(text: string, shown: Element): Promise<boolean> {
  if (navigator.clipboard !== undefined) {
    const isCopied = await navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
    if (isCopied) return true;
  }
  getSelection()?.selectAllChildren(shown); // if copying fails now, at least it is selected
  return document.execCommand("copy");
}
