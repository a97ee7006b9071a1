/** The first API key, from the setup page to the welcome page: in memory only, and for the person who made it. */
let kept: { key: string; owner: string } | null = null;

export const firstKey = {
  keep(key: string, owner: string): void {
    kept = { key, owner };
  },
  get(person: string | undefined): string | null {
    return kept?.owner === person ? (kept?.key ?? null) : null;
  },
  forget(): void {
    kept = null;
  },
};
