import { describe, expect, it } from "vitest";
import { curl } from "$app/curl";
import type { Schemas } from "$api/client";
import type { Connection } from "$pages/connections/draft";
import { changedBy, changedName, changesOf } from "$pages/overview/changed";
import { decisions } from "$pages/overview/decisions";
import { beginning, mostCalled, rowsOf, total } from "$pages/overview/figures";
import { compact, exact } from "$parts/numbers";
import { held } from "$pages/overview/memory";
import { stepsOf } from "$pages/overview/queries";
import { firstModel } from "$pages/welcome/first-model";

describe("figures", () => {
  it("are short, and exact where somebody asks", () => {
    expect([0, 999, 12_400, 1_250_000].map(compact)).toEqual(["0", "999", "12.4k", "1.3M"]);
    expect(exact(1_250_000)).toBe("1,250,000");
  });

  it("come from a report of usage", () => {
    const item = (model: string, calls: number, errors: number, tokens: number) => ({
      model,
      calls,
      errors,
      tokens,
      cost: null,
    });
    const rows = rowsOf({ items: [item("b", 2, 1, 10), item("a", 2, 0, 5), item("c", 7, 0, 1)], next: null }, "model");
    expect(mostCalled(rows, 2).map((row) => row.value)).toEqual(["c", "a"]);
    expect(total([])).toEqual({ calls: 0, errors: 0, tokens: 0 });
  });

  it("count as errors what somebody should look at, not a caller who went away", () => {
    const row = (value: string, calls: number) => ({ value, calls, errors: calls, tokens: 1 });
    const rows = [row("ok", 5), row("error", 2), row("cut", 1), row("left", 4)];
    expect(total(rows)).toEqual({ calls: 12, errors: 3, tokens: 4 });
  });

  it("are of the last five minutes or since midnight", () => {
    const at = new Date(2026, 4, 5, 13, 30, 15);
    expect(beginning("now", at)).toBe(at.getTime() / 1000 - 300);
    expect(new Date(beginning("today", at) * 1000)).toEqual(new Date(2026, 4, 5));
  });
});

describe("what is in memory", () => {
  const state = (model_id: string, state: string, reason: string | null = null): Schemas["State"] => ({
    model_id,
    connection_id: "1",
    connection: "gpu",
    state,
    reason,
    updated_at: 100,
  });

  it("is what backends hold, with what Modelyard knows of it", () => {
    const expires_at = "2026-11-21T16:06:48.945994Z";
    expect(held([{ name: "b", expires_at }, { name: "a" }], [state("b", "loaded")])).toEqual([
      { model: "a", state: "loaded", connection: null, at: null, until: null },
      { model: "b", state: "loaded", connection: "gpu", at: 100, until: Date.parse(expires_at) / 1000 },
    ]);
  });

  it("shows what is on its way, and nothing that has left or never came", () => {
    const shown = held([], [state("x", "loading"), state("y", "failed", "no room"), state("z", "unloaded")]);
    expect(shown.map((row) => [row.model, row.state])).toEqual([["x", "loading"]]);
  });

  it("keeps every place of a model that is on several connections", () => {
    const other = { ...state("x", "loading"), connection: "cpu", connection_id: "2" };
    const failed = { ...state("x", "failed"), connection: "old", connection_id: "3" };
    const shown = held([{ name: "x" }], [failed, state("x", "loaded"), other]);
    expect(shown.map((row) => [row.connection, row.state])).toEqual([
      ["gpu", "loaded"],
      ["cpu", "loading"],
    ]);
  });

  it("is where the only connection that offers it is", () => {
    const row = (name: string, models: string[]) =>
      ({ name, models, model_ids: [], prefix_id: null, enable: true }) as unknown as Connection;
    const rows = [row("gpu", ["x", "y:latest"]), row("cpu", ["x"])];
    expect(held([{ name: "x" }, { name: "y" }], [], rows).map((one) => one.connection)).toEqual([null, "gpu"]);
  });
});

describe("what needs a decision", () => {
  const row = (name: string, error: string | null) =>
    ({ id: name, name, error, enable: true, models_age: 1 }) as unknown as Connection;
  const key = (name: string, expires_at: number | null, replaced_by: string | null = null) =>
    ({ id: name, name, expires_at, replaced_by }) as Schemas["Key"];
  const DAY = 86_400;

  it("is what is down, who waits and which key ends soon, the worst first", () => {
    const keys = [key("ci", 1000 + 2 * DAY), key("old", 500), key("late", 1000 + 30 * DAY), key("never", null)];
    const error = "http://gpu:8000 could not be reached: the connection was refused; is it running?";
    const found = decisions({ connections: [row("cpu", null), row("gpu", error)], keys, waiting: 2 }, 1000);
    expect(found.map(({ title, detail }) => [title, detail])).toEqual([
      ["gpu is down", "The connection was refused; is it running?"],
      ["2 people wait for approval", ""],
      ["The key ci expires in 2 days", "Give it a later date, or rotate it."],
    ]);
  });

  it("is nothing while all is well, and a number where there is much of it", () => {
    expect(decisions({ connections: [row("a", null)], keys: [key("next", 2000, "other")], waiting: 0 }, 1000)).toEqual(
      [],
    );
    const down = Array.from({ length: 9 }, (_, index) => row(`gpu ${index}`, "away"));
    const found = decisions({ connections: down }, 1000);
    expect(found).toHaveLength(4);
    expect(found[3]?.title).toBe("6 more connections are down");
  });
});

describe("the checklist", () => {
  const person = (id: string, source = "database", kind = "person") => ({ id, source, kind }) as Schemas["User"];
  const key = (name: string, source = "database") => ({ name, source }) as Schemas["Key"];

  it("counts nothing that came with the server", () => {
    const own = [person("me"), person("built-in-administrator", "environment"), person("robot", "database", "service")];
    expect(stepsOf(0, own, [key("first key"), key("MODELYARD_ADMIN_API_KEY", "environment")])).toEqual({
      preset: false,
      person: false,
      key: false,
    });
  });

  it("ticks what was done", () => {
    expect(stepsOf(1, [person("me"), person("ann")], [key("first key"), key("ci")])).toEqual({
      preset: true,
      person: true,
      key: true,
    });
  });
});

describe("names", () => {
  it("of what was changed are those that people know", () => {
    const entry = (entity_type: string, entity_id: string, changes: Schemas["Entry"]["changes"] = null) =>
      ({ entity_type, entity_id, changes, user_id: "u", user: null }) as Schemas["Entry"];
    const names = { model: new Map([["org/model", "The model"]]) };
    expect(changedName(entry("connection", "1", { name: { old: "a", new: "b" } }), {})).toBe("b");
    expect(changedName(entry("connection", "1", { name: { old: "a", new: null } }), {})).toBe("a");
    expect(changedName(entry("model", "org/model"), {})).toBe("org/model");
    expect(changedName(entry("model", "org/model"), names)).toBe("The model");
    expect(changedName(entry("key", "b14c44a7-93ae-4b75"), {})).toBe("");
    expect(changedBy({ ...entry("key", "1"), user_id: "b14c44a7-93ae-4b75" })).toBe("A deleted account");
  });

  it("of entries that change nothing are left out", () => {
    const entry = (action: string) => ({ action }) as Schemas["Entry"];
    const log = [
      entry("user.signed_in"),
      entry("key.created"),
      ...Array.from({ length: 9 }, () => entry("model.updated")),
    ];
    expect(changesOf(log).map((each) => each.action)).toEqual([
      "key.created",
      ...Array<string>(4).fill("model.updated"),
    ]);
  });

  it("of the first model leave out what cannot chat, unless there is nothing else", () => {
    expect(firstModel(["nomic-embed-text", "llama"])).toBe("llama");
    expect(firstModel(["nomic-embed-text"])).toBe("nomic-embed-text");
    expect(firstModel([])).toBe("");
  });
});

describe("a line for the terminal", () => {
  it("takes the key from a variable unless it is given, and survives quotes", () => {
    expect(curl("llama", undefined, "https://yard")).toContain('-H "Authorization: Bearer $MODELYARD_API_KEY"');
    expect(curl("llama", "sk-my-1", "https://yard")).toContain("-H 'Authorization: Bearer sk-my-1'");
    expect(curl("it's $(here)", undefined, "https://yard")).toContain(`"model":"it'\\''s $(here)"`);
  });
});
