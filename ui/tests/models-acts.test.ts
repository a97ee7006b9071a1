import { describe, expect, it } from "vitest";
import { audience, isPublic, modeOf } from "../src/parts/access";
import { undoing } from "../src/pages/models/acts";
import { arranged, joined, openTo, usableBases } from "../src/pages/models/base-models";
import { fileName, picked, tagNames, type Row } from "../src/pages/models/subject";

const grant = (principal_id: string, principal_type: "user" | "group" = "user") =>
  ({ principal_type, principal_id, permission: "read" }) as Row["access_grants"][number];
const row = (id: string, fields: Partial<Row> = {}): Row => ({
  id,
  name: id,
  user_id: "u",
  base_model_id: null,
  params: {},
  meta: {},
  access_control: {},
  access_grants: [],
  is_active: true,
  version_id: null,
  write_access: true,
  source: "database",
  updated_at: 1,
  created_at: 1,
  ...fields,
});

describe("taking an act on many back", () => {
  it("touches only what the act had changed", () => {
    const rows = [row("on"), row("off", { is_active: false }), row("hidden", { meta: { hidden: true } })];
    expect(undoing(rows, "enable", []).steps).toEqual([{ ids: ["off"], action: "disable", tags: [] }]);
    expect(undoing(rows, "disable", []).steps).toEqual([{ ids: ["on", "hidden"], action: "enable", tags: [] }]);
    expect(undoing(rows, "hide", []).steps).toEqual([{ ids: ["on", "off"], action: "show", tags: [] }]);
    expect(undoing(rows, "show", []).steps).toEqual([{ ids: ["hidden"], action: "hide", tags: [] }]);
    expect(undoing([rows[0]!], "enable", []).steps).toEqual([]);
  });

  it("gives and takes each tag by itself, whatever its case", () => {
    const rows = [row("a", { meta: { tags: [{ name: "Fast" }] } }), row("b", { meta: { tags: ["sea"] } })];
    expect(undoing(rows, "tag", ["fast", "sea"]).steps).toEqual([
      { ids: ["b"], action: "untag", tags: ["fast"] },
      { ids: ["a"], action: "untag", tags: ["sea"] },
    ]);
    expect(undoing(rows, "untag", ["fast", "none"]).steps).toEqual([{ ids: ["a"], action: "tag", tags: ["fast"] }]);
  });

  it("gives back the access of those that were not open", () => {
    const rows = [row("open", { access_grants: [grant("*")] }), row("closed", { access_grants: [grant("ada")] })];
    expect(undoing(rows, "share", []).grants.map((one) => one.id)).toEqual(["closed"]);
  });
});

describe("base models", () => {
  it("are joined with their rows by either spelling, and rows of missing ones stay", () => {
    const offered = [
      { id: "mistral:latest", owned_by: "ollama" },
      { id: "gpt", owned_by: "openai", name: "GPT" },
    ];
    const found = joined(offered, [row("mistral", { name: "Mistral", is_active: false }), row("gone")]);
    expect(found.map(({ subject, kind }) => [subject.id, subject.name, subject.active, subject.offered, kind])).toEqual(
      [
        ["mistral:latest", "Mistral", false, true, "ollama"],
        ["gpt", "GPT", true, true, "openai"],
        ["gone", "gone", true, false, null],
      ],
    );
    // With a plain one beside it, the plain row is not for the other.
    const both = joined(
      [
        { id: "m", owned_by: "x" },
        { id: "m:latest", owned_by: "x" },
      ],
      [row("m", { name: "M" })],
    );
    expect(both.map(({ subject }) => subject.row?.id)).toEqual(["m", undefined]);
  });

  it("name the connection that offers them, by its place among those of its kind", () => {
    const connections = [
      { id: "1", name: "Workshop", kind: "ollama" },
      { id: "2", name: "Cloud", kind: "openai" },
      { id: "3", name: "Second", kind: "openai" },
    ] as const;
    const found = joined(
      [
        { id: "a", owned_by: "openai", urlIdx: 1 },
        { id: "b", owned_by: "ollama", urlIdx: 0 },
        { id: "c", owned_by: "openai" },
      ],
      [row("gone")],
      connections,
    );
    expect(found.map((one) => one.connection?.name)).toEqual(["Second", "Workshop", undefined, undefined]);
    expect(arranged(found, "workshop", false).map(({ subject }) => subject.id)).toEqual(["b"]);
  });

  it("are acted on by the row that governs them", () => {
    const [found] = joined([{ id: "m:latest", owned_by: "ollama" }], [row("m", { is_active: false })]);
    expect(picked(found!.subject)).toMatchObject({ id: "m", is_active: false, stored: true });
    const [bare] = joined([{ id: "n", owned_by: "ollama" }], []);
    expect(picked(bare!.subject)).toEqual({
      id: "n",
      name: "n",
      is_active: true,
      meta: {},
      access_grants: [],
      stored: false,
    });
  });

  it("are found by every word and ordered as people count", () => {
    const all = joined(
      ["llama 10", "llama 9", "qwen"].map((id) => ({ id, owned_by: "ollama" })),
      [],
    );
    expect(arranged(all, "", false).map(({ subject }) => subject.id)).toEqual(["llama 9", "llama 10", "qwen"]);
    expect(arranged(all, "OLLAMA 10", false).map(({ subject }) => subject.id)).toEqual(["llama 10"]);
    expect(arranged(all, "", true)[0]?.subject.id).toBe("qwen");
  });

  it("say whom they are open to", () => {
    const [open, some, none] = joined(
      ["a", "b", "c"].map((id) => ({ id, owned_by: "openai" })),
      [row("a", { access_grants: [grant("*")] }), row("b", { access_grants: [grant("g", "group")] })],
    );
    expect([open, some, none].map((one) => openTo(one!))).toEqual(["Everyone", "1 group", "Administrators only"]);
  });

  it("of somebody who may only use them are not to be changed", () => {
    const found = usableBases([
      { id: "a", owned_by: "x" },
      { id: "p", preset: true },
      { id: "r", arena: true },
    ]);
    expect(found.map(({ subject }) => [subject.id, subject.editable, subject.changeable])).toEqual([
      ["a", false, false],
    ]);
  });
});

describe("what a row says", () => {
  it("counts people and groups once each", () => {
    const grants = [grant("ada"), { ...grant("ada"), permission: "write" as const }, grant("g", "group")];
    expect(audience(grants)).toEqual({ people: 1, groups: 1 });
    expect(isPublic(grants)).toBe(false);
    expect(isPublic([grant("*")])).toBe(true);
    // The same answer in the list and in the dialog that changes it, whatever older data hold.
    const odd = [{ ...grant("*"), permission: "write" as const }];
    expect([isPublic(odd), modeOf(odd)]).toEqual([true, "public"]);
  });

  it("has tags in whatever shape, and file names without slashes", () => {
    expect(tagNames({ tags: [{ name: "a" }, "b", null, 3, { name: "" }, "a"] })).toEqual(["a", "b"]);
    expect(tagNames({ tags: "a" })).toEqual([]);
    expect(fileName("team/../x:1", "-1.json")).toBe("team-..-x-1-1.json");
  });
});
