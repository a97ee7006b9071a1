/** The tree of permissions that the API shows, as paths such as `workspace.models`, in the API's order. */
import { enforced, permissions, sections } from "$text/permissions";

export type Tree = Record<string, Record<string, boolean>>;

export interface Section {
  id: string;
  name: string;
  /** Those that this server asks for itself, then those that it only tells to clients. */
  own: string[];
  told: string[];
}

export function pathsOf(tree: Tree): string[] {
  return Object.entries(tree).flatMap(([section, names]) => Object.keys(names).map((name) => `${section}.${name}`));
}

/** Paths that are true. */
export function given(tree: Tree | null | undefined): Set<string> {
  return new Set(pathsOf(tree ?? {}).filter((path) => valueOf(tree ?? {}, path)));
}

export function valueOf(tree: Tree, path: string): boolean {
  const [section = "", name = ""] = path.split(".");
  return tree[section]?.[name] ?? false;
}

/** Another tree with one value changed. */
export function withValue(tree: Tree, path: string, value: boolean): Tree {
  const [section = "", name = ""] = path.split(".");
  return { ...tree, [section]: { ...tree[section], [name]: value } };
}

export function inSections(paths: readonly string[]): Section[] {
  const found = new Map<string, Section>();
  for (const path of paths) {
    const id = path.split(".")[0] ?? "";
    const section = found.get(id) ?? { id, name: sections[id] ?? id, own: [], told: [] };
    found.set(id, section);
    (enforced.has(path) ? section.own : section.told).push(path);
  }
  return [...found.values()];
}

/** What it allows, in words; a permission that is newer than this page is shown by its path. */
export const sentence = (path: string): string => permissions[path] ?? path;

/** How many values differ. */
export function differing(one: Tree, other: Tree): string[] {
  return pathsOf(one).filter((path) => valueOf(one, path) !== valueOf(other, path));
}
