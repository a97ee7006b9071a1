import { expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { device } from "../src/pages/account/device";
import { entriesOf, withRight, type Grant } from "../src/parts/access";
import { newPassword } from "../src/pages/people/password";
import { differing, given, inSections, pathsOf, sentence, withValue } from "../src/pages/people/permission";
import { gives, through, told } from "../src/pages/people/reasons";
import { above, branches, sharedWith, withBelow, type Group } from "../src/pages/people/nesting";
import { enforced, permissions } from "../src/text/en/permissions";

const group = (id: string, parent_id: string | null = null): Group => ({
  id,
  name: id.toUpperCase(),
  description: "",
  parent_id,
  parent_group_id: parent_id,
  share: true,
  data: {},
  permissions: null,
  member_count: 0,
  source: "database",
  created_at: 1,
  updated_at: 1,
});
const lab = group("lab");
const research = group("research", "lab");
const team = group("team", "research");

test("models that name a group are counted, each once", () => {
  const grant = (principal_type: "user" | "group", principal_id: string, permission: "read" | "write" = "read") => ({
    ...{ id: "g", resource_type: "model", resource_id: "m", created_at: 1 },
    ...{ principal_type, principal_id, permission },
  });
  const models = [
    { access_grants: [grant("group", "lab"), grant("group", "lab", "write")] },
    { access_grants: [grant("user", "lab"), grant("group", "team")] },
    { access_grants: [] },
  ];
  expect(sharedWith("lab", models)).toBe(1);
  expect(sharedWith("research", models)).toBe(0);
});

test("a right that changes keeps its place among the others", () => {
  const grant = (id: string, permission: "read" | "write"): Grant => ({
    ...{ principal_type: "user", principal_id: id, permission },
  });
  const grants = [grant("ada", "read"), grant("bea", "read"), grant("bea", "write"), grant("cem", "read")];
  const lines = (of: Grant[]) => entriesOf(of).map((one) => `${one.id} ${one.right}`);
  expect(lines(withRight(grants, "user", "ada", "write"))).toEqual(["ada write", "bea write", "cem read"]);
  expect(lines(withRight(grants, "user", "bea", "read"))).toEqual(["ada read", "bea read", "cem read"]);
  expect(lines(withRight(grants, "user", "bea", null))).toEqual(["ada read", "cem read"]);
  expect(lines(withRight(grants, "user", "dan", "read"))).toEqual([...lines(grants), "dan read"]);
});

test("groups stand below those that they are part of", () => {
  const shown = branches([group("alone"), lab, group("lost", "gone"), research, team]);
  expect(shown.map(({ group: one, depth }) => [one.id, depth])).toEqual([
    ["alone", 0],
    ["lab", 0],
    ["research", 1],
    ["team", 2],
    ["lost", 0],
  ]);
  expect([...withBelow("research", [team, research, lab])].sort()).toEqual(["research", "team"]);
  expect(above("research", [lab, research, team])).toEqual([research, lab]);
});

test("a ring of groups ends", () => {
  const ring = [group("a", "b"), group("b", "a")];
  expect(above("a", ring)).toHaveLength(2);
  expect(withBelow("a", ring).size).toBe(2);
});

test("permissions are paths, in sections, and every one that the documents name has a sentence", () => {
  const tree = { workspace: { models: true, tools: false }, chat: { edit: true } };
  expect(pathsOf(tree)).toEqual(["workspace.models", "workspace.tools", "chat.edit"]);
  expect([...given(tree)]).toEqual(["workspace.models", "chat.edit"]);
  const other = withValue(tree, "workspace.tools", true);
  expect(differing(other, tree)).toEqual(["workspace.tools"]);
  expect(tree.workspace.tools).toBe(false);
  expect(inSections(pathsOf(tree))[0]).toMatchObject({
    id: "workspace",
    own: ["workspace.models"],
    others: ["workspace.tools"],
  });
  expect(sentence("newer.than_this")).toBe("newer.than_this");
  const rows = readFileSync("../docs/people.md", "utf-8").matchAll(/^\| `([a-z_]+\.[a-z_]+)` \|.*\| (.*) \|$/gm);
  const documented = new Map([...rows].map(([, path, what]) => [path, what]));
  expect(Object.keys(permissions).sort()).toEqual([...documented.keys()].sort());
  expect([...enforced].sort()).toEqual(
    [...documented]
      .filter(([, what]) => what !== "told to clients")
      .map(([path]) => path)
      .sort(),
  );
});

const groups = [
  { id: "lab", name: "Lab", parent_id: null, direct: false },
  { id: "team", name: "Team", parent_id: "lab", direct: true },
];
const by = (kind: "group" | "default" | "pending" | "everyone", group_id: string | null = null) => ({ kind, group_id });

test("reasons are told in words", () => {
  expect(through(groups[0]!, groups)).toEqual(["Team"]);
  expect(told({ allowed: true, reasons: [by("group", "lab")] }, groups)).toBe("through Lab, which contains Team");
  expect(told({ allowed: true, reasons: [by("default"), by("group", "team")] }, groups)).toBe(
    "by default; through Team",
  );
  expect(told({ allowed: false, reasons: [] }, groups)).toBe("no role, default or group grants it");
  expect(told({ allowed: false, reasons: [by("pending")] }, groups)).toBe("waiting for approval");
  const closed = { allowed: false, reasons: [] };
  expect(told({ allowed: false, reasons: [by("everyone")] }, groups, { base: closed })).toContain("base model");
  expect(told(closed, groups, { none: "not shared" })).toBe("not shared");
  expect(gives({ allowed: true, reasons: [by("group", "lab")] }, "group", "lab")).toBe(true);
  expect(gives({ allowed: true, reasons: [by("group", "lab")] }, "group", "team")).toBe(false);
});

test("made passwords differ, are long and plain", () => {
  const made = new Set(Array.from({ length: 200 }, newPassword));
  expect(made.size).toBe(200);
  for (const one of made) expect(one).toMatch(/^[a-km-np-zA-HJ-NP-Z2-9]{20}$/);
});

test("devices in simple words", () => {
  const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36";
  expect(device(chrome)).toBe("Chrome on Linux");
  expect(device(`${chrome} Edg/130.0`)).toBe("Edge on Linux");
  expect(device("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile Safari/604.1")).toBe(
    "Safari on iPhone",
  );
  expect(device("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:130.0) Gecko/20100101 Firefox/130.0")).toBe(
    "Firefox on macOS",
  );
  expect(device("curl/8.5.0")).toBe("curl");
  expect(device("")).toBe("Unknown program");
  expect(device("<img src=x onerror=alert(1)>".repeat(9))).toHaveLength(40);
});
