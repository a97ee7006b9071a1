import { describe, expect, test } from "vitest";
import type { Schemas } from "../src/api/client";
import { Problem } from "../src/api/problem";
import { bothSides } from "../src/pages/editor/both-sides";
import { CENTRED, pulled, squareOf } from "../src/pages/editor/crop";
import { cleaned, Draft, emptyFields, fieldsOf } from "../src/pages/editor/draft.svelte";
import { fieldName } from "../src/pages/editor/field-names";
import { idFrom } from "../src/pages/editor/naming";
import { linesOf, loose, parameters, sentParameters, textOfLines } from "../src/pages/editor/parameters";
import { faultsOf, missing, updateOf } from "../src/pages/editor/saving";
import { readSuggestions } from "../src/pages/editor/suggestions";
import { examples, filledIn, unknownVariables } from "../src/pages/editor/variables";
import { entriesOf, inMode, modeOf, withRight, type Grant } from "../src/parts/access";
import { byName } from "../src/api/model-names";

const model = (changes: Partial<Schemas["Model"]> = {}): Schemas["Model"] => ({
  id: "pirate",
  user_id: "u",
  base_model_id: "tiny",
  name: "Pirate",
  params: { system: "Arr", temperature: 0.5, future: { kept: null } },
  meta: { tags: [{ name: "sea" }], colour: "red", hidden: false },
  access_control: {},
  access_grants: [],
  is_active: true,
  version_id: "v1",
  write_access: true,
  source: "database",
  updated_at: 1,
  created_at: 1,
  ...changes,
});

describe("ids follow names", () => {
  test.each([
    ["My Great Model", "my-great-model"],
    ["  GPT-4o (fast!) ", "gpt-4o-fast"],
    ["Größe 2", "größe-2"],
    ["مساعد", "مساعد"],
    ["a/b:c.d", "abcd"],
    ["!!!", ""],
  ])("%s", (name, id) => expect(idFrom(name)).toBe(id));
});

describe("a draft", () => {
  test("is untouched when it was only opened, whatever stands in it", () => {
    const draft = new Draft(fieldsOf(model()), model());
    expect(draft.dirty).toBe(false);
    expect(draft.content.params).toEqual(model().params);
    expect(draft.content.meta).toEqual(model().meta);
  });

  test("keeps keys that nobody here knows when others change", () => {
    const draft = new Draft(fieldsOf(model()), model());
    draft.set("params", "temperature", 1);
    draft.set("meta", "description", "Says arr");
    expect(draft.dirty).toBe(true);
    expect(draft.content.params).toEqual({ system: "Arr", temperature: 1, future: { kept: null } });
    expect(draft.content.meta).toMatchObject({ colour: "red", hidden: false });
    draft.set("params", "temperature", 0.5);
    draft.set("meta", "description", undefined);
    expect(draft.dirty).toBe(false);
  });

  test("locks and unlocks parameters without touching other locks", () => {
    const stored = model({ params: { locked: ["future"] } });
    const draft = new Draft(fieldsOf(stored), stored);
    draft.set("params", "top_p", 0.5);
    draft.lock("top_p", true);
    expect(draft.content.params.locked).toEqual(["future", "top_p"]);
    draft.lock("top_p", false);
    expect(draft.content.params.locked).toEqual(["future"]);
  });

  test("leaves out what was opened and not filled in", () => {
    const fields = emptyFields({
      params: { temperature: null, stop: [], future: null, locked: [] },
      meta: { suggestion_prompts: [{ title: ["", ""], content: "" }] },
    });
    expect(cleaned(fields).params).toEqual({ stop: [], future: null });
    expect(cleaned(fields).meta).toEqual({ suggestion_prompts: [] });
  });

  test("sends access and activity only when they were changed here", () => {
    const draft = new Draft(fieldsOf(model()), model());
    draft.fields.name = "Captain";
    expect(updateOf(draft, "why")).toEqual({
      id: "pirate",
      name: "Captain",
      params: model().params,
      meta: { tags: [{ name: "sea" }], colour: "red" },
      version_id: "v1",
      commit_message: "why",
    });
    draft.fields.is_active = false;
    draft.fields.access_grants = inMode("public", []);
    expect(updateOf(draft, "")).toMatchObject({
      is_active: false,
      access_grants: [{ principal_type: "user", principal_id: "*", permission: "read" }],
    });
  });

  test("sends hiding only when it was changed here, or when no version would stand for it", () => {
    const draft = new Draft(fieldsOf(model()), model());
    draft.set("meta", "colour", "blue");
    expect(updateOf(draft, "").meta).toEqual({ tags: [{ name: "sea" }], colour: "blue" });
    draft.set("meta", "hidden", true);
    expect(updateOf(draft, "").meta).toMatchObject({ hidden: true });
    const unversioned = model({ version_id: null });
    expect(updateOf(new Draft(fieldsOf(unversioned), unversioned), "").meta).toMatchObject({ hidden: false });
  });

  test("takes over what others changed beside versions, and keeps what was changed here", () => {
    const now = model({
      is_active: false,
      meta: { ...model().meta, hidden: true },
      access_grants: inMode("public", []) as never,
    });
    const untouched = new Draft(fieldsOf(model()), model());
    untouched.fields.name = "Captain";
    untouched.accept({ ...now, name: "Captain", version_id: "v2" });
    expect(untouched.dirty).toBe(false);
    expect([untouched.fields.is_active, untouched.fields.meta.hidden, untouched.version]).toEqual([false, true, "v2"]);

    const mine = new Draft(fieldsOf(model({ is_active: false })), model({ is_active: false }));
    mine.fields.is_active = true;
    mine.accept(now);
    expect([mine.fields.is_active, mine.fields.meta.hidden, mine.dirty]).toEqual([true, true, true]);
  });

  test("says what is missing, and puts refusals in their place", () => {
    expect(Object.keys(missing(emptyFields(), true, true))).toEqual(["name", "id", "base_model_id"]);
    expect(missing(emptyFields({ name: "a", id: "a" }), false, true)).toEqual({});
    const spaced = emptyFields({ name: "a", id: "a b/ü?", base_model_id: "tiny" });
    expect(Object.keys(missing(spaced, true, true))).toEqual(["id"]);
    expect(Object.keys(missing({ ...spaced, id: "a\u00a0b" }, true, true))).toEqual(["id"]);
    expect(missing({ ...spaced, id: "org/model:tag.v1_ü?" }, true, true)).toEqual({});
    expect(missing(spaced, true, false)).toEqual({});
    expect(missing(spaced, false, true)).toEqual({});
    expect(faultsOf(new Problem(409, "taken"), true)).toEqual({ id: "taken" });
    expect(faultsOf(new Problem(400, "params.top_k cannot be 'x'"), false)).toHaveProperty(["params.top_k"]);
    expect(faultsOf(new Problem(500, "away"), false)).toEqual({});
  });
});

describe("a draft can be saved", () => {
  test.each([
    ["an empty form", emptyFields({ base_model_id: "tiny" }), false],
    ["a copy", emptyFields({ id: "a", name: "A (Clone)", base_model_id: "tiny" }), true],
    ["untouched settings of a base model", emptyFields({ id: "tiny", name: "tiny" }), false],
  ])("%s", (_, fields, savable) => {
    const draft = new Draft(fields, null);
    expect(draft.savable).toBe(savable);
    draft.fields.name = "B";
    expect(draft.savable).toBe(true);
  });

  test("and becomes a model of its own when its row is gone", () => {
    const draft = new Draft(fieldsOf(model()), model());
    expect(draft.savable).toBe(false);
    draft.separate();
    expect([draft.exists, draft.version, draft.savable]).toEqual([false, null, true]);
  });
});

describe("what two people changed", () => {
  test("stands side by side by field", () => {
    const opened = fieldsOf(model());
    const theirs = { ...opened, name: "Theirs", params: { ...opened.params, temperature: 0.9 } };
    const mine = { ...opened, params: { ...opened.params, temperature: 0.1, top_k: 5 } };
    const temperature = "params.temperature";
    expect(bothSides(opened, theirs, mine)).toEqual([
      { field: "name", theirs: { field: "name", old: "Pirate", new: "Theirs" } },
      {
        field: temperature,
        theirs: { field: temperature, old: 0.5, new: 0.9 },
        mine: { field: temperature, old: 0.5, new: 0.1 },
      },
      { field: "params.top_k", mine: { field: "params.top_k", old: null, new: 5 } },
    ]);
  });

  test.each([
    ["name", "Name"],
    ["params.system", "System prompt"],
    ["params.top_k", "Top K"],
    ["params.logit_bias.15", "Logit bias: 15"],
    ["params.custom_params.cache.prompt", "Other parameters: cache.prompt"],
    ["meta.capabilities.vision", "Capabilities: Vision"],
    ["meta.capabilities.teleport", "Capabilities: teleport"],
    ["meta.colour", "meta.colour"],
    ["params.toString", "params.toString"],
  ])("%s is called %s", (path, name) => expect(fieldName(path)).toBe(name));
});

describe("parameters", () => {
  test("each has a start of its kind within its range", () => {
    for (const parameter of parameters) {
      if (parameter.kind === "number") {
        expect(parameter.start).toBeGreaterThanOrEqual(parameter.min ?? -Infinity);
        expect(parameter.start).toBeLessThanOrEqual(parameter.max ?? Infinity);
      } else if (parameter.kind === "choice") expect(parameter.options).toContain(parameter.start);
    }
    expect(new Set(parameters.map(({ name }) => name)).size).toBe(parameters.length);
  });

  test("a call is given what is set, with custom ones over it, and nothing of the application's", () => {
    const params = {
      system: "x",
      locked: ["top_k"],
      stream_response: false,
      top_k: 5,
      temperature: null,
      custom_params: { top_k: "7", chat_template_kwargs: '{"a": [1]}', note: "5 m", model: "other" },
    };
    expect(sentParameters(params)).toEqual({ top_k: 7, chat_template_kwargs: { a: [1] }, note: "5 m" });
  });

  test("stop sequences keep line breaks and backslashes", () => {
    for (const list of [["\n\n", "größe"], ["a\\n", "\t"], []]) expect(linesOf(textOfLines(list))).toEqual(list);
    expect(linesOf("one, two\n\n\\n")).toEqual(["one, two", "\n"]);
  });

  test("a text is JSON when it can be", () => {
    expect([loose("5"), loose("5m"), loose('{"a":1}'), loose(3)]).toEqual([5, "5m", { a: 1 }, 3]);
  });
});

test("variables of the closed set are filled in, others are named", () => {
  const values = examples({ name: "Ana", email: "" }, new Date(2026, 0, 5, 0, 7, 9));
  expect(filledIn("{{USER_NAME}} {{ CURRENT_DATETIME }} {{USER_EMAIL}} {{other}}", values)).toBe(
    "Ana 2026-01-05 12:07:09 AM Unknown {{other}}",
  );
  expect(values.CURRENT_WEEKDAY).toBe("Monday");
  expect(unknownVariables("{{USER_NAME}} {{CURRENT_DAY}} {{ x.y }} {{CURRENT_DAY}}")).toEqual(["CURRENT_DAY", "x.y"]);
});

describe("access", () => {
  const ana: Grant = { principal_type: "user", principal_id: "ana", permission: "write" };

  test("everyone, some, nobody", () => {
    expect(modeOf([])).toBe("private");
    expect(modeOf([ana])).toBe("chosen");
    expect(modeOf(inMode("public", [ana]))).toBe("public");
    expect(inMode("chosen", inMode("public", [ana]))).toEqual([ana]);
    expect(inMode("private", [ana])).toEqual([]);
  });

  test("who may write may read, told as one line", () => {
    expect(entriesOf([ana, { ...ana, permission: "read" }])).toEqual([{ type: "user", id: "ana", right: "write" }]);
    const both = withRight([], "group", "g", "write");
    expect(both.map((grant) => grant.permission)).toEqual(["read", "write"]);
    expect(withRight(both, "group", "g", "read").map((grant) => grant.permission)).toEqual(["read"]);
    expect(withRight([...both, ana], "group", "g", null)).toEqual([ana]);
    // A group of the same id as a person is another one.
    expect(withRight([ana], "group", "ana", null)).toEqual([ana]);
  });
});

describe("the cut of a picture", () => {
  test("is the middle square at first", () => {
    expect(squareOf(400, 200, CENTRED)).toEqual({ left: 100, top: 0, side: 200 });
    expect(squareOf(400, 200, { zoom: 2, x: 0, y: 1 })).toEqual({ left: 0, top: 100, side: 100 });
  });

  test("stays within the picture however far it is pulled", () => {
    expect(pulled(CENTRED, 400, 200, 9999, -9999)).toEqual({ zoom: 1, x: 0, y: 0.5 });
    expect(pulled({ zoom: 2, x: 0.5, y: 0.5 }, 400, 200, -9999, -9999)).toEqual({ zoom: 2, x: 1, y: 1 });
    const { x } = pulled(CENTRED, 400, 200, 125, 0);
    expect(x).toBe(0);
  });
});

test("suggestions from elsewhere are taken, anything else is refused", () => {
  expect(readSuggestions([{ content: "Hi", title: "One" }])).toEqual([{ content: "Hi", title: ["One", ""] }]);
  expect(readSuggestions([{ content: "Hi", title: ["a", "b"], more: 1 }])).toEqual([
    { content: "Hi", title: ["a", "b"], more: 1 },
  ]);
  for (const other of [null, {}, "x", [1], [{ title: ["a"] }]]) expect(readSuggestions(other)).toBeNull();
});

test("a base is found without its tag", () => {
  const entries = [
    { id: "mistral:latest", name: "m" },
    { id: "mistral:7b", name: "m" },
  ];
  expect(byName(entries, "mistral")?.id).toBe("mistral:latest");
  expect(byName(entries, "mistral:7b")?.id).toBe("mistral:7b");
  expect(byName(entries, "mistr")).toBeUndefined();
});
