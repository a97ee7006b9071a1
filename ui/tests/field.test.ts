import { render, screen } from "@testing-library/svelte";
import { expect, test } from "vitest";
import TextField from "../src/parts/TextField.svelte";

test("what is optional is heard as a word of its own", () => {
  render(TextField, { label: "Name", value: "", optional: true });
  expect(screen.getByRole("textbox", { name: "Name optional" })).toBeTruthy();
});
