import { describe, expect, it } from "vitest";
import { ACTIONS } from "../src/pages/audit/actions";
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
