/** Kinds of connections as people choose them: by the name of the server or service. */
import { connections as text } from "$text/connections";
import type { Connection, Kinds } from "./draft";

export const kindName = (flavour: string): string => text.kinds[flavour] ?? flavour;
export const kindOf = (row: Connection): string => kindName(row.flavour);

/** Local servers first, then what speaks OpenAI's dialect somehow, then services. */
export function kindOptions(kinds: Kinds): { value: string; label: string }[] {
  const rank = (item: Kinds["items"][number]) =>
    item.connection_type === "local" ? 0 : item.name === "compatible" ? 1 : 2;
  return [...kinds.items]
    .sort((one, other) => rank(one) - rank(other) || kindName(one.name).localeCompare(kindName(other.name)))
    .map((item) => ({ value: item.name, label: kindName(item.name) }));
}

/** The address that a kind usually has; nothing for one that can be anywhere. */
export function usualAddress(kinds: Kinds, flavour: string): string {
  return flavour === "compatible" ? "" : (kinds.items.find((item) => item.name === flavour)?.base_url ?? "");
}

/** True when nobody has typed this address: it may follow the kind. */
export const untouched = (kinds: Kinds, address: string): boolean =>
  !address.trim() || kinds.items.some((item) => item.base_url === address);

/** What a new connection could be called: its kind, or the host when the kind says little. */
export function suggestedName(flavour: string, address: string): string {
  if (flavour !== "compatible") return flavour;
  try {
    return new URL(address).hostname || flavour;
  } catch {
    return flavour;
  }
}
