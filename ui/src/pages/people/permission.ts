/** The tree of permissions that the API shows, as paths such as `workspace.models`, in the API's order. */
import { enforced, permissions, sections } from "$text/permissions";

export type PermissionTree = Record<string, Record<string, boolean>>;

export interface Section {
  id: string;
  name: string;
  /** Those that this server asks for itself, then those that only other apps look at. */
  own: string[];
  others: string[];
}

export function pathsOf(tree: PermissionTree): string[] {
  return Object.entries(tree).flatMap(([section, names]) => Object.keys(names).map((name) => `${section}.${name}`));
}

/** Paths that are true. */
export function given(tree: PermissionTree | null | undefined): Set<string> {
  return new Set(pathsOf(tree ?? {}).filter((path) => valueOf(tree ?? {}, path)));
}

export function valueOf(tree: PermissionTree, path: string): boolean {
  const [section = "", name = ""] = path.split(".");
  return tree[section]?.[name] ?? false;
}

/** Another tree with one value changed. */
export function withValue(tree: PermissionTree, path: string, value: boolean): PermissionTree {
  const [section = "", name = ""] = path.split(".");
  return { ...tree, [section]: { ...tree[section], [name]: value } };
}

export function inSections(paths: readonly string[]): Section[] {
  const found = new Map<string, Section>();
  for (const path of paths) {
    const id = path.split(".")[0] ?? "";
    const section = found.get(id) ?? { id, name: sections[id] ?? id, own: [], others: [] };
    found.set(id, section);
    (enforced.has(path) ? section.own : section.others).push(path);
  }
  return [...found.values()];
}

/** What it allows, in words; a permission that is newer than this page is shown by its path. */
export const sentence = (path: string): string => permissions[path] ?? path;

/** The paths whose values differ. */
export function differing(one: PermissionTree, other: PermissionTree): string[] {
  return pathsOf(one).filter((path) => valueOf(one, path) !== valueOf(other, path));
}
