import { describe, expect, it } from "vitest";
import { ACTIONS } from "../src/pages/audit/actions";
import { fieldName, fieldValue, told } from "../src/pages/audit/fields";
import { actionName, actorName, kindName, objectName, type Entry } from "../src/pages/audit/objects";
import { overview } from "../src/text/en/overview";

const entry = (entity_type: string, entity_id: string) => ({ entity_type, entity_id, changes: null }) as Entry;

describe("an entry of the log", () => {
  it("has words for every kind and action", () => {
    for (const [kind, verbs] of Object.entries(ACTIONS)) {
      expect(kindName(kind)).not.toBe(kind);
      for (const verb of verbs) {
        const action = `${kind}.${verb}`;
        expect(actionName(action)).not.toBe(action);
        // The overview has words of its own.
        expect(overview.changes.actions).toHaveProperty([action]);
      }
    }
  });

  it("names what has no name of its own, and leaves other ids as they are", () => {
    expect(objectName(entry("settings", "sign_up.enabled"), {})).toBe("Sign-up");
    expect(objectName(entry("setup", "setup-token"), {})).toBe("Setup link");
    expect(objectName(entry("yard", "7"), {})).toBe("Revision 7");
    expect(objectName(entry("settings", "unheard.of"), {})).toBe("unheard.of");
    expect(objectName(entry("model", "org/model"), {})).toBe("org/model");
  });

  it("names who is no person", () => {
    expect(actorName({ user: null, user_id: "sign-up" })).toBe("Sign-up page");
    expect(actorName({ user: null, user_id: "b14c44a7" })).toBe("b14c44a7");
  });
});

describe("fields of an entry", () => {
  const of = (kind: string, id = "") => ({ entity_type: kind, entity_id: id });
  const names = {
    user: new Map([["u1", "Ada"]]),
    group: new Map([["g1", "Lab"]]),
    key: new Map([["k2", "agent"]]),
  };

  it("have the names that the forms have, for every kind of object", () => {
    expect(fieldName(of("model"), "params.system")).toBe("System prompt");
    expect(fieldName(of("model"), "user_id")).toBe("Owner");
    expect(fieldName(of("connection"), "timeouts.first_byte")).toBe("Timeouts: First byte");
    expect(fieldName(of("connection"), "headers.X-Team")).toBe("Headers: X-Team");
    expect(fieldName(of("user"), "email")).toBe("E-mail");
    expect(fieldName(of("group"), "permissions.workspace.models")).toBe("Create and edit models");
    expect(fieldName(of("key"), "rpm")).toBe("Calls");
    expect(fieldName(of("settings", "sign_up.enabled"), "value")).toBe("Sign-up");
    expect(fieldName(of("settings", "permissions"), "value.features.api_keys")).toBe(
      "Create, edit and rotate API keys",
    );
    expect(fieldName(of("unheard"), "of.this")).toBe("of.this");
    expect(fieldName(of("group"), "toString")).toBe("toString");
  });

  it("are called the same in a document, which has names for ids", () => {
    const pairs = [
      ["model", "owner", "user_id"],
      ["group", "parent", "parent_id"],
      ["user", "groups", "group_ids"],
      ["key", "user", "user_id"],
      ["key", "limits.rpm", "rpm"],
    ] as const;
    for (const [kind, named, byId] of pairs) expect(fieldName(of(kind), named)).toBe(fieldName(of(kind), byId));
    expect(fieldName(of("settings", "models.default"), "value")).toBe("Default models");
    expect(fieldName(of("group"), "share")).toBe("Others may share with it");
  });

  it("name whom an id stands for", () => {
    expect(fieldValue("model", "user_id", "u1", names)).toBe("Ada");
    expect(fieldValue("group", "user_ids", ["u1", "gone"], names)).toEqual(["Ada", "gone"]);
    expect(fieldValue("key", "replaced_by", "k2", names)).toBe("agent");
    expect(fieldValue("user", "role", "pending", names)).toBe("Waiting");
    expect(fieldValue("user", "name", "u1", names)).toBe("u1");
    expect(fieldValue("model", "user_id", null, names)).toBeNull();
  });

  it("say who may use a model, where null means everyone", () => {
    const access = (value: unknown) => fieldValue("model", "access_control", value, names);
    expect([access(null), access({}), access(undefined)]).toEqual(["Public", "Private", undefined]);
    const lists = { read: { group_ids: ["g1"], user_ids: ["u1"] }, write: { group_ids: [], user_ids: ["u1"] } };
    expect(access(lists)).toBe("Can use: Lab\nCan use: Ada\nCan use and change: Ada");
  });

  it("that set nothing are not told", () => {
    const change = (field: string, old: unknown, now: unknown) => ({ field, old, new: now });
    const set = [change("name", null, "A"), change("access_control", null, {}), change("is_active", undefined, false)];
    expect(told([...set, change("meta", undefined, {}), change("tags", null, [])])).toEqual(set);
  });
});
