/** Grants as people see them: everyone, or one line for each person and group with the right that they have. */
import type { Schemas } from "$api/client";

export type Grant = Schemas["Grant"];
export type AccessMode = "private" | "public" | "chosen";
export type Right = "read" | "write";

export const EVERYONE = "*";
export const TO_EVERYONE: Grant = { principal_type: "user", principal_id: EVERYONE, permission: "read" };

export interface Entry {
  type: Grant["principal_type"];
  id: string;
  right: Right;
}

/** The server gives everyone no other right than to use it. */
export const isPublic = (grants: readonly Grant[]): boolean => grants.some((grant) => grant.principal_id === EVERYONE);

/** The same rights, in whatever order. */
export function sameGrants(some: readonly Grant[], others: readonly Grant[]): boolean {
  const set = (grants: readonly Grant[]) =>
    [...new Set(grants.map((one) => `${one.principal_type} ${one.principal_id} ${one.permission}`))].sort().join("\n");
  return set(some) === set(others);
}

/** How many people and groups something is open to, each counted once. */
export function audience(grants: readonly Grant[]): { people: number; groups: number } {
  const ids = (type: Grant["principal_type"]) =>
    new Set(grants.filter((grant) => grant.principal_type === type).map((grant) => grant.principal_id)).size;
  return { people: ids("user"), groups: ids("group") };
}

export function modeOf(grants: readonly Grant[]): AccessMode {
  if (isPublic(grants)) return "public";
  return grants.length ? "chosen" : "private";
}

/** One line for each principal but everyone; who may write may read. */
export function entriesOf(grants: readonly Grant[]): Entry[] {
  const found = new Map<string, Entry>();
  for (const { principal_type: type, principal_id: id, permission } of grants) {
    if (id === EVERYONE) continue;
    const key = `${type} ${id}`;
    const right = permission === "write" || found.get(key)?.right === "write" ? "write" : "read";
    found.set(key, { type, id, right });
  }
  return [...found.values()];
}

const of = (grant: Grant, type: Grant["principal_type"], id: string): boolean =>
  grant.principal_type === type && grant.principal_id === id;

/** With this right for one principal, or none for null. Writing comes with reading, for clients that tell them apart. */
export function withRight(
  grants: readonly Grant[],
  type: Grant["principal_type"],
  id: string,
  right: Right | null,
): Grant[] {
  const given: Right[] = right === null ? [] : right === "write" ? ["read", "write"] : ["read"];
  const own = given.map((permission): Grant => ({ principal_type: type, principal_id: id, permission }));
  // In the place of those that they replace, so that a list does not move under somebody's hands.
  const first = grants.findIndex((grant) => of(grant, type, id));
  if (first < 0) return [...grants, ...own];
  const others = grants.filter((grant) => !of(grant, type, id));
  return [...others.slice(0, first), ...own, ...others.slice(first)];
}

/** `kept`: the grants to people and groups to come back to. */
export function inMode(mode: AccessMode, kept: readonly Grant[]): Grant[] {
  const named = kept.filter((grant) => grant.principal_id !== EVERYONE);
  if (mode === "private") return [];
  return mode === "public" ? [TO_EVERYONE, ...named] : named;
}
