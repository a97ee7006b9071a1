import { describe, expect, it } from "vitest";
import { counts, deletions, faultLine, given, grouped, pathLine, references } from "../src/pages/yard/document";

const DOCUMENT = `# a comment with \${NOT_ONE}
settings: {}
connections:
  - name: cloud
    api_keys:
      - "\${CLOUD_KEY_1}"
      - "\${CLOUD_KEY_2}"
    headers:
      X-Team: "\${CLOUD_KEY_1}"
models:
  - id: first
    params:
      system: Say $\${HOME} and $$\${TWICE}
  - id: second

    # about the name
    nme: wrong
    params:
      temperature: hot
`;

describe("a document", () => {
  it("names its references once, and no escaped ones", () => {
    expect(references(DOCUMENT)).toEqual(["CLOUD_KEY_1", "CLOUD_KEY_2", "TWICE"]);
    expect(references("a: ${1X} ${} ${A B}")).toEqual([]);
  });

  it("has at most so many references", () => {
    const many = Array.from({ length: 5000 }, (_, index) => `- "\${NAME_${index}}"`).join("\n");
    expect(references(many)).toHaveLength(200);
  });

  it("is told its faults with their line", () => {
    expect(faultLine("it is not YAML: did not find expected '-' indicator (line 3).")).toBe(3);
    expect(faultLine("models.0.nme: Extra inputs are not permitted.")).toBeNull();
  });

  it.each([
    ["models.1.nme: Extra inputs are not permitted.", "    nme: wrong"],
    ["models.1.params.temperature: must be a number.", "      temperature: hot"],
    ["connections.0.api_keys.1: is wrong", '      - "${CLOUD_KEY_2}"'],
    ["connections.0.name: is wrong", "  - name: cloud"],
    ["models.1.unknown: is missing", "  - id: second"],
    ["settings.models: is wrong", "settings: {}"],
  ])("has the place of %s", (message, line) => {
    const found = pathLine(message, DOCUMENT);
    expect(found).not.toBeNull();
    expect(DOCUMENT.split("\n")[(found ?? 0) - 1]).toBe(line);
  });

  it("tells no place that it does not have", () => {
    expect(pathLine("The document leaves no administrator.", DOCUMENT)).toBeNull();
    expect(pathLine("users.3.email: is wrong", DOCUMENT)).toBeNull();
  });

  it("sends only values that were typed, of references that are there", () => {
    expect(given({ A: "1", B: "", GONE: "2" }, ["A", "B", "C"])).toEqual({ A: "1" });
  });
});

describe("a plan", () => {
  const step = (noun: "model" | "group", action: "create" | "update" | "delete") => ({
    noun,
    action,
    name: "x",
    fields: {},
  });

  it("tells what it deletes, and whether going back brings all of it again", () => {
    const gone = { noun: "key" as const, action: "delete" as const, name: "x", fields: {} };
    const steps = [step("model", "delete"), step("group", "delete"), step("model", "create"), step("model", "delete")];
    const by = [
      ["model", 2],
      ["group", 1],
    ];
    expect(deletions(steps)).toEqual({ count: 3, by, lossy: false });
    expect(deletions([gone])).toEqual({ count: 1, by: [["key", 1]], lossy: true });
    expect(deletions([step("model", "create")])).toEqual({ count: 0, by: [], lossy: false });
  });

  it("is grouped by kind in its own order, and counted", () => {
    const steps = [step("model", "create"), step("group", "update"), step("model", "delete"), step("model", "create")];
    expect(grouped(steps).map(([noun, of]) => [noun, of.length])).toEqual([
      ["model", 3],
      ["group", 1],
    ]);
    expect(counts(steps)).toEqual({ create: 2, update: 1, delete: 1 });
  });
});
