import { render, screen, within } from "@testing-library/svelte";
import { expect, test } from "vitest";
import Diff from "../src/parts/Diff.svelte";

const marked = (region: HTMLElement) => [...region.querySelectorAll("strong")].map((one) => one.textContent);

test("two texts: lines that changed, their words, and the number of those that did not", () => {
  const same = Array.from({ length: 9 }, (_, index) => `line ${index}`).join("\n");
  render(Diff, { label: "Prompt", old: `${same}\nBe kind to all.`, now: `${same}\nBe kind to everyone.` });
  const region = screen.getByRole("region", { name: "Prompt" });
  expect(within(region).getByText("7 lines are the same")).toBeTruthy();
  expect(region.textContent).toContain("line 8");
  expect(region.textContent).not.toContain("line 3");
  expect(region.textContent).toContain("Removed: Be kind to all.");
  expect(region.textContent).toContain("Added: Be kind to everyone.");
  expect(marked(region)).toEqual(["all", "everyone"]);
});

test("fields: old and new beside each other, nothing for what is not there, pictures as their size", () => {
  render(Diff, {
    label: "Changes",
    changes: {
      "params.temperature": { old: null, new: 0.5 },
      name: { old: "A", new: "" },
      "meta.profile_image_url": { old: `data:image/png;base64,${"A".repeat(4096)}`, new: null },
      "meta.tags": { old: [{ name: "a" }], new: [] },
    },
  });
  const told = screen.getAllByRole("definition").map((one) => one.textContent?.replace(/\s+/g, " ").trim());
  expect(told).toEqual(["nothing → 0.5", 'A → ""', "picture, 3 KB → nothing", '[ { "name": "a" } ] → []']);
});

test("hostile text stays text", () => {
  const script = '<img src=x onerror="alert(1)">';
  render(Diff, { label: "x", changes: { [script]: { old: script, new: `${script}\n\n${script}` } } });
  expect(document.querySelector("img")).toBeNull();
});

test("texts without anything in common are still shown, and soon", () => {
  const noise = (seed: number) => Array.from({ length: 5_000 }, (_, at) => `${(at * seed) % 99_991}`).join("\n");
  const begun = performance.now();
  render(Diff, { label: "x", old: noise(7919), now: noise(6101) });
  expect(document.querySelectorAll("p").length).toBeLessThan(600);
  expect(screen.getByText(/^\d+ more lines$/)).toBeTruthy();
  expect(performance.now() - begun).toBeLessThan(10_000);
});
