/** Numbers as people read them. */
const compactly = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const exactly = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** `12.4k`, `1.2M`; small numbers as they are. */
export const compact = (value: number): string => compactly.format(value).replace("K", "k");

/** Every digit of a whole number: `12,345`. */
export const exact = (value: number): string => exactly.format(value);

/** Of a file, in whole units that are never too few. */
export const kilobytes = (bytes: number): number => Math.ceil(bytes / 1024);
export const megabytes = (bytes: number): number => Math.ceil(bytes / 1024 / 1024);
