import { expect, test } from "vitest";
import type { Schemas } from "../src/api/client";
import { titleOf } from "../src/pages/editor/versions";

const version = (changed: string[], more: Partial<Schemas["Version"]> = {}): Schemas["Version"] => ({
  id: "v",
  model_id: "m",
  parent_id: "before",
  user_id: "u",
  user: null,
  commit_message: null,
  created_at: 1,
  is_current: false,
  changed,
  ...more,
});

test("a version is called by its message, else by what it changed, in the words of the form", () => {
  expect(titleOf(version(["params.system"], { commit_message: "Friendlier" }))).toBe("Friendlier");
  expect(titleOf(version(["params.system", "params.temperature"]))).toBe("System prompt, Temperature");
  expect(titleOf(version(["name", "meta.tags", "profile_image", "params.top_k"]))).toBe("Name, Tags and 2 more");
  expect(titleOf(version([], { parent_id: null }))).toBe("First version");
  expect(titleOf(version([]))).toBe("Saved without changes");
});
