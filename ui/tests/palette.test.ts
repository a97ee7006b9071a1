import { describe, expect, it } from "vitest";
import { matching, type Entry } from "../src/app/palette";

const entry = (name: string, detail?: string): Entry => ({
  id: name,
  name,
  ...(detail ? { detail } : {}),
  act: () => undefined,
});

describe("what the palette offers", () => {
  it("puts names that begin with the text first, whatever their place", () => {
    const found = matching([entry("Open models"), entry("Models"), entry("Modelfile")], "mod");
    expect(found.map((one) => one.name)).toEqual(["Models", "Modelfile", "Open models"]);
  });

  it("looks for every word, in the detail too, in any order and case", () => {
    const found = matching([entry("Helper", "llama/8B"), entry("Helper", "qwen")], "LLAMA help");
    expect(found).toHaveLength(1);
  });

  it("takes what was typed as it is, and offers as many as are asked for", () => {
    expect(matching([entry("a.b")], "a*b")).toEqual([]);
    const many = Array.from({ length: 5000 }, (_, index) => entry(`m${index}`));
    expect(matching(many, "m", 8)).toHaveLength(8);
    expect(matching(many, "")).toHaveLength(5000);
  });
});
