import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "svelte/compiler";
import { expect, test } from "vitest";

/** Every text of `src/text/en` is shown somewhere. An entry counts as used where it is named (`general.save`), and where the
 * group that it is in is handed on, or asked by a name that only the running page knows (`words.states[name]`). */
type Texts = { [name: string]: unknown };
type Node = { type: string; [field: string]: unknown };
/** What a name in a file stands for: a place in the texts, such as `models`, `importing`. */
type Names = ReadonlyMap<string, readonly string[]>;

const SOURCE = join(import.meta.dirname, "../src");
const modules = import.meta.glob<Texts>("../src/text/en/*.ts", { eager: true });
const texts: Texts = Object.fromEntries(
  Object.entries(modules).map(([path, exported]) => [path.replace(/^.*\/(.*)\.ts$/, "$1"), exported]),
);

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as Node).type === "string";
const isGroup = (value: unknown): value is Texts =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Set);
const inside = (node: Node): Node[] => Object.values(node).flat().filter(isNode);
const at = (place: readonly string[]): unknown =>
  place.reduce<unknown>((group, name) => (isGroup(group) ? group[name] : undefined), texts);

function entriesBelow(place: readonly string[]): string[] {
  const found = at(place);
  if (!isGroup(found)) return [place.join(".")];
  return Object.keys(found).flatMap((name) => entriesBelow([...place, name]));
}

/** The names that a pattern declares: `{ a, b: [c] }` declares a and c. */
function declared(pattern: unknown): string[] {
  if (!isNode(pattern)) return [];
  if (pattern.type === "Identifier") return [pattern.name as string];
  if (pattern.type === "Property") return declared(pattern.value);
  if (pattern.type === "AssignmentPattern") return declared(pattern.left);
  return inside(pattern).flatMap(declared);
}

/** The place that an expression such as `text.importing.faults` names, as far as it can be told. */
function placeOf(node: Node, names: Names): readonly string[] | undefined {
  if (node.type === "Identifier") return names.get(node.name as string);
  if (node.type === "ChainExpression") return placeOf(node.expression as Node, names);
  const [left, right] =
    node.type === "MemberExpression" && !node.computed
      ? [node.object, node.property]
      : node.type === "TSQualifiedName"
        ? [node.left, node.right]
        : [];
  if (!isNode(left) || !isNode(right)) return undefined;
  const place = placeOf(left, names);
  if (!place) return undefined;
  const group = at(place);
  const name = right.name as string;
  return isGroup(group) && Object.hasOwn(group, name) ? [...place, name] : undefined;
}

/** Adds to `used` what stands in a file, and `names` what its own constants stand for. */
function look(node: Node, names: Map<string, readonly string[]>, used: Set<string>): void {
  if (node.type === "ImportDeclaration") {
    const file = /^\$text\/(.*)$/.exec((node.source as { value: string }).value)?.[1];
    for (const { imported, local } of (node.specifiers ?? []) as { imported?: Node; local: Node }[])
      if (file && imported) names.set(local.name as string, [file, imported.name as string]);
    return;
  }
  if (node.type === "VariableDeclarator" && isNode(node.id) && isNode(node.init)) {
    const place = node.id.type === "Identifier" ? placeOf(node.init, names) : undefined;
    if (place && isGroup(at(place))) {
      names.set(node.id.name as string, place);
      return;
    }
  }
  const place = placeOf(node, names);
  if (place) {
    for (const entry of entriesBelow(place)) used.add(entry);
    return;
  }
  // A parameter hides a text of the same name.
  const hidden = (["params", "parameters"] as const).flatMap((field) => [node[field]].flat().flatMap(declared));
  const known = hidden.length ? new Map([...names].filter(([name]) => !hidden.includes(name))) : names;
  const isNamed = ["Property", "MemberExpression", "PropertyDefinition", "MethodDefinition"].includes(node.type);
  for (const one of inside(node)) {
    // `x.text` and `{ text: x }` are not the text.
    if (isNamed && !node.computed && !node.shorthand && (one === node.key || one === node.property)) continue;
    look(one, known, used);
  }
}

function sources(): { path: string; source: string }[] {
  return readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(svelte|ts)$/.test(path) && !/^text\/|\.d\.ts$/.test(path))
    .map((path) => ({ path, source: readFileSync(join(SOURCE, path), "utf8") }));
}

function usedIn(source: string, isComponent: boolean): Set<string> {
  const used = new Set<string>();
  if (!source.includes("$text/")) return used;
  const root = parse(isComponent ? source : `<script lang="ts">${source}</script>`, { modern: true });
  const names = new Map<string, readonly string[]>();
  const parts: unknown[] = [root.module, root.instance, root.fragment];
  // Twice: a function may stand before the constant that it uses.
  for (const part of [...parts, ...parts]) if (isNode(part)) look(part, names, used);
  return used;
}

test("an entry counts as used where it is named, through constants, and where its group is handed on", () => {
  const script = `<script lang="ts">
    import { general } from "$text/general";
    import { models as text } from "$text/models";
    const words = text.importing;
    const faults = words.faults;
    const trimmed = (text: { empty: string }) => text.empty;
  </script>`;
  const page = `<p title={general.save}>{faults.notText}</p>{#each Object.entries(words.counts) as one}{one}{/each}`;
  const used = usedIn(script + page, true);
  expect(used).toContain("general.general.save");
  expect(used).toContain("models.models.importing.faults.notText");
  expect(used).toContain("models.models.importing.counts.foreign");
  expect([...used]).toHaveLength(
    2 + Object.keys((texts.models as { models: { importing: { counts: Texts } } }).models.importing.counts).length,
  );
});

// Reading all of the sources takes seconds, on a busy machine many.
test("every text is used", { timeout: 60_000 }, () => {
  const used = new Set(sources().flatMap(({ path, source }) => [...usedIn(source, path.endsWith(".svelte"))]));
  const all = Object.keys(texts)
    .filter((file) => file !== "plural")
    .flatMap((file) => entriesBelow([file]));
  expect(all.length).toBeGreaterThan(1000);
  expect(all.filter((entry) => !used.has(entry))).toEqual([]);
});
