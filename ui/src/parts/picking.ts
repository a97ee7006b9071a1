/** The options of a Picker. */

export interface Option {
  value: string;
  label: string;
  /** A second, quieter line. */
  detail?: string;
  disabled?: boolean;
}

/** A model by its name, with the id where that is another. */
export const modelOption = ({ id, name }: { id: string; name: string }): Option => ({
  value: id,
  label: name || id,
  ...(name && name !== id ? { detail: id } : {}),
});

/** A person by the name, with the address, which alone tells two of one name apart. */
export const personOption = ({ id, name, email }: { id: string; name: string; email?: string | null }): Option => ({
  value: id,
  label: name || email || id,
  ...(email ? { detail: email } : {}),
});

/** Those in which every word of the text occurs, in any order and case. */
export function matching(options: readonly Option[], text: string): readonly Option[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return options;
  return options.filter((option) => {
    const all = `${option.label} ${option.value} ${option.detail ?? ""}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
}
