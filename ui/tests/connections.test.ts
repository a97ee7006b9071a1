import { describe, expect, it } from "vitest";
import { Problem } from "$api/problem";
import {
  allPlaced,
  withScheme,
  againOf,
  changesOf,
  draftOf,
  emptyDraft,
  faultsOf,
  freeName,
  hasSecrets,
  wholeOf,
  type Connection,
  type Kinds,
} from "$pages/connections/draft";
import { kindOptions, suggestedName, untouched, usualAddress } from "$pages/connections/kinds";
import { causeOf, listedAt, matching, offeredBy, offeredByAll, presetsLost, stateOf } from "$pages/connections/state";

const flavour = (name: string, kind: string, base_url: string, more: Partial<Kinds["items"][number]> = {}) => ({
  name,
  kind,
  base_url,
  connection_type: "external",
  default_for_kind: false,
  loads: false,
  ...more,
});
const kinds: Kinds = {
  items: [
    flavour("compatible", "openai", "http://127.0.0.1:8000/v1", { default_for_kind: true }),
    flavour("groq", "openai", "https://api.groq.com/openai/v1"),
    flavour("ollama", "ollama", "http://127.0.0.1:11434", {
      connection_type: "local",
      default_for_kind: true,
      loads: true,
    }),
  ],
  timeouts: { connect: 5, first_byte: 300, idle: 60 },
};
const row: Connection = {
  id: "1",
  name: "cloud",
  kind: "openai",
  flavour: "groq",
  base_url: "https://api.groq.com/openai/v1",
  api_keys: ["********1111", "********2222"],
  enable: true,
  prefix_id: null,
  model_ids: [],
  tags: [],
  connection_type: "external",
  priority: 0,
  weight: 1,
  timeouts: { connect: 5, first_byte: 120, idle: 60 },
  limits: { rpm: null, tpm: null, concurrency: null },
  headers: { "x-team": "********" },
  tls: { verify: true, ca_file: null, client_cert: null },
  loads: true,
  source: "database",
  models: ["a", "b"],
  models_age: 10,
  error: null,
  created_at: 1,
  updated_at: 1,
};

describe("what a form sends", () => {
  it("sends nothing of a form that says what is saved", () => {
    expect(changesOf(draftOf(row), draftOf(row), kinds)).toEqual({});
  });

  it("sends stored keys masked, replaced and new ones as typed, and leaves out empty ones", () => {
    const draft = draftOf(row);
    draft.keys[1]!.typed = " new-one ";
    draft.keys.push({ masked: null, typed: "another", replacing: true }, { masked: null, typed: "", replacing: true });
    expect(changesOf(draft, draftOf(row), kinds)).toEqual({ api_keys: ["********1111", "new-one", "another"] });
    draft.keys = [];
    expect(changesOf(draft, draftOf(row), kinds)).toEqual({ api_keys: [] });
  });

  it("keeps header values that were not typed again", () => {
    const draft = draftOf(row);
    draft.headers.push({ name: "x-more", masked: null, typed: "value", replacing: true });
    expect(changesOf(draft, draftOf(row), kinds)).toEqual({ headers: { "x-team": "********", "x-more": "value" } });
  });

  it("sends the default of a timeout that was emptied, since one that is left out stays", () => {
    const draft = draftOf(row);
    draft.timeouts.first_byte = null;
    expect(changesOf(draft, draftOf(row), kinds).timeouts).toEqual({ connect: 5, first_byte: 300, idle: 60 });
  });

  it("sends kind and flavour together, and leaves the flavour open where the address tells it", () => {
    const draft = draftOf(row);
    draft.flavour = "ollama";
    expect(changesOf(draft, draftOf(row), kinds)).toEqual({ kind: "ollama", flavour: null });
    draft.flavour = "compatible";
    expect(changesOf(draft, draftOf(row), kinds)).toEqual({ kind: "openai", flavour: null });
  });

  it("makes a connection of what was filled in", () => {
    const draft = { ...emptyDraft("groq", "https://api.groq.com/openai/v1"), name: " fast " };
    draft.keys = [{ masked: null, typed: "", replacing: true }];
    expect(wholeOf(draft, kinds)).toEqual({
      name: "fast",
      kind: "openai",
      flavour: "groq",
      base_url: "https://api.groq.com/openai/v1",
    });
    expect(wholeOf(emptyDraft("compatible", "http://x"), kinds)).toEqual({
      name: "",
      kind: "openai",
      base_url: "http://x",
    });
  });

  it("knows which connection can be made again", () => {
    expect(hasSecrets(row)).toBe(true);
    expect(hasSecrets({ ...row, api_keys: [] })).toBe(true);
    const plain = { ...row, api_keys: [], headers: {} };
    expect(hasSecrets(plain)).toBe(false);
    const again = againOf(plain);
    expect(again).toMatchObject({ name: "cloud", flavour: "groq", timeouts: { first_byte: 120 } });
    for (const name of ["id", "models", "error", "source", "api_keys", "headers"])
      expect(again).not.toHaveProperty(name);
  });
});

describe("an address", () => {
  it("gets the scheme that nobody typed, and only near ones http", () => {
    const typed = ["127.0.0.1:8000", "localhost", "gpu:8000/v1", "[::1]:8080", "gpu.lan:1", "api.example.com/v1", " "];
    expect(typed.map(withScheme)).toEqual([
      "http://127.0.0.1:8000",
      "http://localhost",
      "http://gpu:8000/v1",
      "http://[::1]:8080",
      "http://gpu.lan:1",
      "https://api.example.com/v1",
      "",
    ]);
    expect(["ftp://x", "http://x", "what is this", "-"].map(withScheme)).toEqual([
      "ftp://x",
      "http://x",
      "what is this",
      "-",
    ]);
  });

  it("is left out of the cause of a fault, which stands beside it", () => {
    expect(causeOf("http://gpu:8000 could not be reached: the connection was refused")).toBe(
      "The connection was refused",
    );
    expect(causeOf("http://gpu:8000 did not begin its answer within 5 s")).toBe("Did not begin its answer within 5 s");
    expect(causeOf("HTTP 401")).toBe("HTTP 401");
  });
});

describe("where a fault stands", () => {
  const draft = emptyDraft();

  it("keeps the whole problem in sight when a part of it has no field", () => {
    const faults = (fields: Record<string, string>) => faultsOf(new Problem(422, "x", fields), draft);
    expect(allPlaced(faults({ "headers.x-team": "too long", "model_ids.3": "too long" }))).toBe(true);
    expect(allPlaced(faults({ name: "too long", limits: "not an object" }))).toBe(false);
    expect(allPlaced({})).toBe(false);
  });

  it("is at the field that the server names, in either form", () => {
    expect(faultsOf(new Problem(422, "x", { "limits.rpm": "too small" }), draft)["limits.rpm"]).toBe("Too small");
    expect(faultsOf(new Problem(422, "x", { "model_ids.3": "too long" }), draft).model_ids).toBe("Too long");
    expect(faultsOf(new Problem(422, "base_url: it names no host."), draft)).toEqual({ base_url: "It names no host." });
    expect(faultsOf(new Problem(422, "tls.ca_file: there is no such file."), draft)["tls.ca_file"]).toMatch("no such");
    expect(faultsOf(new Problem(422, "api_keys: give them again."), draft).api_keys).toBe("Give them again.");
    expect(faultsOf(new Problem(409, "There is a connection named 'a' already."), draft).name).toMatch("already");
  });

  it("is nowhere when nobody knows", () => {
    expect(faultsOf(null, draft)).toEqual({});
    expect(faultsOf(new Problem(500, "name: odd"), draft)).toEqual({});
    expect(faultsOf(new Problem(422, "something: else"), draft)).toEqual({});
  });
});

describe("what is known of a connection", () => {
  it("is off, down, up, or not asked yet", () => {
    expect(stateOf(row)).toBe("up");
    expect(stateOf({ ...row, error: "gone" })).toBe("down");
    expect(stateOf({ ...row, error: "gone", enable: false })).toBe("off");
    expect(stateOf({ ...row, models_age: null })).toBe("waiting");
    expect(listedAt(row, 110)).toBe(100);
    expect(listedAt({ ...row, models_age: null }, 110)).toBe(null);
  });

  it("offers what its list and its allow-list have in common, below its prefix", () => {
    expect(offeredBy({ ...row, prefix_id: "p" })).toEqual(["p.a", "p.b"]);
    expect(offeredBy({ ...row, models: ["a:latest", "b"], model_ids: ["a"] })).toEqual(["a:latest"]);
    expect(offeredBy({ ...row, models: [], model_ids: ["known"] })).toEqual(["known"]);
    expect(
      offeredByAll([row, { ...row, id: "2", models: ["b", "c"] }, { ...row, enable: false, models: ["d"] }]).size,
    ).toBe(3);
  });

  it("counts the presets whose base nobody else offers", () => {
    const models = ["a", "a", "b", "c", null].map((base_model_id) => ({ base_model_id }));
    expect(presetsLost(row, [row], models)).toBe(3);
    expect(presetsLost(row, [row, { ...row, id: "2", models: ["a"] }], models)).toBe(1);
    expect(presetsLost(row, [row, { ...row, id: "2", enable: false }], models)).toBe(3);
  });

  it("is found by every word of a search", () => {
    const rows = [row, { ...row, id: "2", name: "other", tags: ["fast"] }];
    const found = (query: string) => matching(rows, query, () => "Groq").map((each) => each.id);
    expect(found("")).toEqual(["1", "2"]);
    expect(found("groq FAST")).toEqual(["2"]);
    expect(found("nothing")).toEqual([]);
  });
});

describe("kinds", () => {
  it("come with local servers first", () => {
    expect(kindOptions(kinds).map((option) => option.value)).toEqual(["ollama", "compatible", "groq"]);
  });

  it("bring an address that follows the kind until somebody types one", () => {
    expect(usualAddress(kinds, "ollama")).toBe("http://127.0.0.1:11434");
    expect(usualAddress(kinds, "compatible")).toBe("");
    expect(untouched(kinds, "http://127.0.0.1:11434")).toBe(true);
    expect(untouched(kinds, "http://10.0.0.7:11434")).toBe(false);
  });

  it("suggest a name that is free", () => {
    expect(suggestedName("ollama", "http://x")).toBe("ollama");
    expect(suggestedName("compatible", "http://gpu.example:8000/v1")).toBe("gpu.example");
    expect(suggestedName("compatible", "nonsense")).toBe("compatible");
    expect(freeName("ollama", ["ollama", "ollama 2"])).toBe("ollama 3");
  });
});
