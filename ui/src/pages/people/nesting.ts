/** Groups in the order of their nesting. */
import type { Schemas } from "$api/client";

export type Group = Schemas["Group"];

interface Branch {
  group: Group;
  /** 0 at the top. */
  depth: number;
}

/** Each group before those that are part of it; at each level by name. Groups whose parent is not there stand at the top. */
export function branches(groups: readonly Group[]): Branch[] {
  const known = new Set(groups.map((group) => group.id));
  const below = new Map<string | null, Group[]>();
  for (const group of groups) {
    const parent = group.parent_id !== null && known.has(group.parent_id) ? group.parent_id : null;
    below.set(parent, [...(below.get(parent) ?? []), group]);
  }
  const found: Branch[] = [];
  const lay = (parent: string | null, depth: number): void => {
    for (const group of below.get(parent) ?? []) {
      found.push({ group, depth });
      lay(group.id, depth + 1);
    }
  };
  lay(null, 0);
  return found;
}

/** The ids of a group and of all that are part of it: it cannot be part of any of these. */
export function withBelow(id: string, groups: readonly Group[]): Set<string> {
  const found = new Set([id]);
  for (let grown = true; grown;) {
    grown = false;
    for (const group of groups) {
      if (group.parent_id !== null && found.has(group.parent_id) && !found.has(group.id)) {
        found.add(group.id);
        grown = true;
      }
    }
  }
  return found;
}

/** How many of the models name the group in their access. */
export function sharedWith(id: string, models: readonly Pick<Schemas["Model"], "access_grants">[]): number {
  return models.filter(({ access_grants: grants }) =>
    grants.some((grant) => grant.principal_type === "group" && grant.principal_id === id),
  ).length;
}

/** The groups above, nearest first. */
export function above(parentId: string | null, groups: readonly Group[]): Group[] {
  const known = new Map(groups.map((group) => [group.id, group]));
  const found: Group[] = [];
  for (let id = parentId; id !== null;) {
    const group = known.get(id);
    if (!group || found.includes(group)) break;
    found.push(group);
    id = group.parent_id;
  }
  return found;
}
