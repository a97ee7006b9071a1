import { describe, expect, it } from "vitest";
import { base, program, variables } from "../src/pages/reference/calling";
import { found, operations, resolved, type OpenApi } from "../src/pages/reference/openapi";
import { quoted } from "../src/app/shell";
import { curl, missing, pathOf, pretty } from "../src/pages/reference/request";
import { example, fields, typeName } from "../src/pages/reference/schemas";

const DOCUMENT: OpenApi = {
  paths: {
    "/api/v1/keys/{key_id}": {
      delete: {
        summary: "Revoke Key",
        description: "It opens nothing any more.",
        tags: ["keys"],
        parameters: [
          { name: "key_id", in: "path", required: true, schema: { type: "string" } },
          { name: "why", in: "query", schema: { type: "string" } },
        ],
      },
      get: { summary: "Read", tags: ["keys"] },
    },
    "/api/v1/models": { post: { summary: "Make Model", tags: ["models"] } },
  },
  components: {
    schemas: {
      Group: {
        type: "object",
        required: ["name"],
        properties: {
          name: { type: "string", maxLength: 100, description: "What it is called" },
          parent: { anyOf: [{ $ref: "#/components/schemas/Group" }, { type: "null" }] },
          members: { type: "array", items: { $ref: "#/components/schemas/Member" } },
          limits: { type: "object", additionalProperties: { type: "integer" } },
        },
      },
      Member: { type: "object", properties: { id: { type: "string" }, group: { $ref: "#/components/schemas/Group" } } },
      Loop: { $ref: "#/components/schemas/Loop" },
      Form: {
        type: "object",
        properties: {
          on: { type: "boolean", default: true },
          role: { enum: ["a", "b"] },
          note: { anyOf: [{ type: "string" }, { type: "null" }] },
        },
      },
    },
  },
};
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

describe("operations", () => {
  const all = operations(DOCUMENT);

  it("are found by every word, by tag", () => {
    expect(found(all, "").map(([tag, of]) => [tag, of.length])).toEqual([
      ["keys", 2],
      ["models", 1],
    ]);
    expect(found(all, "REVOKE keys").flatMap(([, of]) => of.map(({ id }) => id))).toEqual([
      "DELETE /api/v1/keys/{key_id}",
    ]);
    expect(found(all, "nothing like that")).toEqual([]);
  });
});

describe("schemas", () => {
  it("end where they come back to themselves", () => {
    const names = fields(ref("Group"), DOCUMENT).map((field) => field.name);
    expect(names).toEqual(["name", "parent", "members", "members[].id", "members[].group", "limits"]);
    expect(resolved(ref("Loop"), DOCUMENT)).toEqual({});
    expect(resolved(ref("Nowhere"), DOCUMENT)).toEqual({});
    expect(fields(ref("Loop"), DOCUMENT)).toEqual([]);
  });

  it("tell types, limits and what is required", () => {
    const [name, , members, , , limits] = fields(ref("Group"), DOCUMENT);
    expect(name).toMatchObject({ required: true, description: "What it is called", notes: ["at most 100 characters"] });
    expect(members?.type).toBe("list of object");
    expect(limits?.type).toBe("object of integer");
    expect(typeName({ anyOf: [{ type: "string" }, { type: "null" }] }, DOCUMENT)).toBe("string or null");
  });

  it("make a body to begin with", () => {
    expect(example(ref("Group"), DOCUMENT)).toEqual({ name: "" });
    expect(example(ref("Form"), DOCUMENT)).toEqual({ on: true, role: "a", note: null });
    expect(example(ref("Loop"), DOCUMENT)).toEqual({});
  });
});

describe("requests", () => {
  const operation = operations(DOCUMENT).find(({ method }) => method === "DELETE");
  if (!operation) throw new Error("the document has it");

  it("carry values so that they stay values", () => {
    expect(pathOf(operation, { "path:key_id": "a/../b?c", "query:why": "x&y=z" })).toBe(
      "/api/v1/keys/a%2F..%2Fb%3Fc?why=x%26y%3Dz",
    );
    expect(pathOf(operation, {})).toBe("/api/v1/keys/{key_id}");
    expect(missing(operation, {})).toBe("key_id");
    expect(missing(operation, { "path:key_id": "1" })).toBeNull();
  });

  it("are commands in which nothing is run", () => {
    expect(quoted("it's $(whoami)")).toBe(`'it'\\''s $(whoami)'`);
    expect(curl("http://h", operation, { "path:key_id": "1" }, null)).toBe(
      `curl -X DELETE 'http://h/api/v1/keys/1' \\\n  -H "Authorization: Bearer $MODELYARD_API_KEY"`,
    );
  });

  it("have answers that are indented when they are JSON", () => {
    expect(pretty('{"a":1}', "application/json")).toBe('{\n  "a": 1\n}');
    expect(pretty("{broken", "application/json")).toBe("{broken");
    expect(pretty('{"a":1}\n{"a":2}', "application/jsonl")).toBe('{"a":1}\n{"a":2}');
  });
});

describe("programs", () => {
  it("quote a model of any name", () => {
    const name = `a'b"c\\d\n$(x)\``;
    for (const dialect of ["openai", "anthropic", "ollama"] as const) {
      expect(program(dialect, "python", "http://h", name)).toContain(`model=${JSON.stringify(name)}`);
      expect(program(dialect, "javascript", "http://h", name)).toContain(`model: ${JSON.stringify(name)}`);
      expect(program(dialect, "curl", "http://h", name)).toContain(`a'\\''b`);
    }
  });

  it("go to the address of their dialect", () => {
    expect(base("openai", "http://h/x")).toBe("http://h/x/v1");
    expect(base("anthropic", "http://h/x")).toBe("http://h/x");
    expect(variables("ollama", "http://h")).toContain("OLLAMA_HOST=http://h\n");
  });
});
