import { cleanup, fireEvent, render, screen, within } from "@testing-library/svelte";
import { afterEach, describe, expect, it, test } from "vitest";
import { byLine, canonical, compared, differences, nameIn, shown } from "../src/parts/changes";
import Diff from "../src/parts/Diff.svelte";
import { lines, type Line } from "../src/parts/lines";
import TextDiff from "../src/parts/TextDiff.svelte";

afterEach(cleanup);

const PICTURE = `data:image/png;base64,${"A".repeat(4096)}`;
const SCRIPT = '<img src=x onerror="alert(1)">';
const noise = (seed: number) => Array.from({ length: 5_000 }, (_, at) => `${(at * seed) % 99_991}`).join("\n");
const of = (found: Line[], kind: "added" | "removed") =>
  found.flatMap((line) => (line.kind === kind ? [line.pieces.map((piece) => piece.text).join("")] : []));
const marked = (found: Line[]) =>
  found.flatMap((line) => (line.kind === "fold" ? [] : line.pieces.filter((one) => one.marked).map((one) => one.text)));

describe("differences of fields", () => {
  it("go to the leaf that differs", () => {
    const changes = { params: { old: { system: "a", top_k: 1 }, new: { system: "b", top_k: 1, temperature: 0.2 } } };
    expect(differences(changes)).toEqual([
      { field: "params.system", old: "a", new: "b" },
      { field: "params.temperature", old: undefined, new: 0.2 },
    ]);
  });

  it("never open access, where null means everyone", () => {
    const changes = { access_control: { old: {}, new: null }, "meta.access_control": { old: null, new: { read: {} } } };
    expect(differences(changes)).toEqual([
      { field: "access_control", old: {}, new: null },
      { field: "meta.access_control", old: null, new: { read: {} } },
    ]);
  });

  it("show what is no pair as it stands", () => {
    expect(differences({ unreadable: "[1" })).toEqual([{ field: "unreadable", old: undefined, new: "[1" }]);
    expect(differences({ a: null, b: [1] })).toEqual([
      { field: "a", old: undefined, new: null },
      { field: "b", old: undefined, new: [1] },
    ]);
    expect(differences(null)).toEqual([]);
  });

  it("end at a depth", () => {
    let deep: Record<string, unknown> = { end: 1 };
    for (let level = 0; level < 100; level++) deep = { in: deep };
    expect(differences({ meta: { old: {}, new: deep } })[0]?.field.split(".")).toHaveLength(7);
  });

  it("of two objects go into objects, not into lists, and ignore the order of keys", () => {
    expect(
      compared(
        { a: { x: 1, y: [1] }, same: { p: 1, q: 2 }, gone: 1 },
        { a: { x: 2, y: [1, 2] }, same: { q: 2, p: 1 }, come: 0 },
      ),
    ).toEqual({
      "a.x": { old: 1, new: 2 },
      "a.y": { old: [1], new: [1, 2] },
      gone: { old: 1, new: null },
      come: { old: null, new: 0 },
    });
  });

  it("tell 1 from true and the order of fields from their values", () => {
    expect(canonical(1)).not.toBe(canonical(true));
    expect(canonical({ a: 1, b: [1, { c: null }] })).toBe(canonical({ b: [1, { c: null }], a: 1 }));
    expect(canonical([1, 2])).not.toBe(canonical([2, 1]));
    expect(differences({ a: { old: undefined, new: null } })).toHaveLength(1);
  });

  it("find the name of the object", () => {
    expect(nameIn({ name: { old: "Old", new: "New" } }, ["name", "email"])).toBe("New");
    expect(nameIn({ name: { old: "Gone", new: null } }, ["name", "email"])).toBe("Gone");
    expect(nameIn({ email: { old: null, new: "ann@example.com" } }, ["name", "email"])).toBe("ann@example.com");
    expect(nameIn({ name: "no pair" }, ["name", "email"])).toBeNull();
  });

  it("show values as text, pictures by their size wherever they are", () => {
    expect([shown(null), shown(undefined), shown(""), shown(0), shown(false)]).toEqual([null, null, "", "0", "No"]);
    expect(shown({ a: 1 })).toBe('{\n  "a": 1\n}');
    expect([shown({}), shown([]), shown(["a", "b"]), shown(["a", "b\nc"])]).toEqual([
      "None",
      "None",
      "a\nb",
      '[\n  "a",\n  "b\\nc"\n]',
    ]);
    expect(shown(PICTURE)).toBe("Picture, 3 KB");
    expect(shown([{ url: PICTURE }])).toContain('"url": "Picture, 3 KB"');
    expect(byLine("a\nb", "a")).toBe(true);
    expect(byLine("a", "b")).toBe(false);
    expect(byLine(null, "a\nb")).toBe(true);
    expect(byLine(null, null)).toBe(false);
  });
});

describe("differences of lines", () => {
  it("fold what did not change", () => {
    const before = Array.from({ length: 30 }, (_, index) => `line ${index}`);
    const after = before.with(15, "changed");
    const found = lines(before.join("\n"), after.join("\n"));
    expect(of(found, "removed")).toEqual(["line 15"]);
    expect(of(found, "added")).toEqual(["changed"]);
    expect(found[0]).toEqual({ kind: "fold", lines: before.slice(0, 13) });
    expect(found.at(-1)).toEqual({ kind: "fold", lines: before.slice(18) });
  });

  it("mark the words that changed, unless nothing else is in the line", () => {
    expect(marked(lines("Be kind to all.", "Be kind to everyone."))).toEqual(["all", "everyone"]);
    expect(marked(lines("yes", "no"))).toEqual([]);
    expect(marked(lines("one line", "two\nlines"))).toEqual([]);
  });

  it("tell a line end at the end, and a text that is not there from an empty one", () => {
    expect(lines("a", "a\n").map((line) => line.kind)).toEqual(["same", "added"]);
    expect(lines(null, "a\nb").map((line) => line.kind)).toEqual(["added", "added"]);
    expect(lines("a\nb", null).map((line) => line.kind)).toEqual(["removed", "removed"]);
    expect(lines(null, null)).toEqual([]);
  });

  it("do not take long for texts that have nothing in common", () => {
    const begun = performance.now();
    expect(lines(noise(7919), noise(6101)).length).toBeGreaterThan(5_000);
    const alike = (word: string) => Array.from({ length: 4_000 }, (_, at) => `the ${word} in line ${at}`).join("\n");
    expect(lines(alike("cat"), alike("dog"))).toHaveLength(8_000);
    expect(performance.now() - begun).toBeLessThan(5_000);
  });
});

test("a text: what changed is said, equal lines can be opened, and what is long comes in steps", async () => {
  const same = Array.from({ length: 900 }, (_, index) => `line ${index}`).join("\n");
  render(TextDiff, { field: "prompt", old: `${same}\nBe kind to all.`, now: `${same}\nBe kind to everyone.` });
  const region = screen.getByRole("region", { name: "Changed lines of prompt" });
  expect(region.textContent).toContain("removed:");
  expect([...region.querySelectorAll("strong")].map((one) => one.textContent)).toEqual(["all", "everyone"]);
  expect(within(region).queryByText("line 3")).toBeNull();
  await fireEvent.click(within(region).getByRole("button", { name: "898 lines unchanged" }));
  expect(within(region).getByText("line 3")).toBeTruthy();
  expect(within(region).queryByText("line 600")).toBeNull();
  await fireEvent.click(within(region).getByRole("button", { name: "Show 402 more lines" }));
  expect(within(region).getByText("line 600")).toBeTruthy();
});

const told = () => screen.getAllByRole("definition").map((one) => one.textContent?.replace(/\s+/g, " ").trim());

test("fields: old and new, nothing for what is not there, pictures as their size", () => {
  const changes = differences({
    "params.temperature": { old: null, new: 0.5 },
    name: { old: "A", new: "" },
    "meta.profile_image_url": { old: PICTURE, new: null },
  });
  render(Diff, { changes });
  expect(told()).toEqual([
    "- before: Not set + after: 0.5",
    "- before: A + after: Empty text",
    "- before: Picture, 3 KB + after: Not set",
  ]);
});

test("what was made has no old side, what was deleted no new one", () => {
  const changes = [{ field: "name", old: "A", new: "B" }];
  const view = render(Diff, { changes, action: "create" });
  expect(told()).toEqual(["+ after: B"]);
  view.unmount();
  render(Diff, { changes, action: "delete" });
  expect(told()).toEqual(["- before: A"]);
});

test("many fields come in steps, also where two have one name", async () => {
  const changes = Array.from({ length: 150 }, (_, at) => ({ field: `f${at % 140}`, old: at, new: at + 1 }));
  render(Diff, { changes });
  expect(screen.getAllByRole("term")).toHaveLength(100);
  await fireEvent.click(screen.getByRole("button", { name: "Show more" }));
  expect(screen.getAllByRole("term")).toHaveLength(150);
});

test("hostile text stays text", () => {
  render(Diff, { changes: [{ field: SCRIPT, old: SCRIPT, new: `${SCRIPT}\n\n${SCRIPT}` }] });
  expect(document.querySelector("img")).toBeNull();
});
