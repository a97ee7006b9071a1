/** What the palette offers for what was typed. */

export interface Entry {
  id: string;
  name: string;
  detail?: string;
  act: () => unknown;
}

/** Entries in which every word occurs, `most` of them; those whose name begins with the text come first. */
export function matching(entries: readonly Entry[], text: string, most = Infinity): Entry[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const first: Entry[] = [];
  const rest: Entry[] = [];
  for (const entry of entries) {
    const name = entry.name.toLowerCase();
    const all = `${name} ${entry.detail?.toLowerCase() ?? ""}`;
    if (!words.every((word) => all.includes(word))) continue;
    (words[0] && name.startsWith(words[0]) ? first : rest).push(entry);
    if (first.length >= most) break;
  }
  return [...first, ...rest].slice(0, most);
}
