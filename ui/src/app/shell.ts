/** A word of a POSIX shell, quoted so that nothing in it means anything: inside single quotes only a single quote does. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
