/** The options of a Picker. */

export interface Option {
  value: string;
  label: string;
  /** A second, quieter line. */
  detail?: string;
  disabled?: boolean;
}

/** Those in which every word of the text occurs, in any order and case. */
export function matching(options: readonly Option[], text: string): readonly Option[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return options;
  return options.filter((option) => {
    const all = `${option.label} ${option.value} ${option.detail ?? ""}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
}
