import { beforeEach, describe, expect, it } from "vitest";
import { currentRow, keepKeys, keptKeys, keyOf, moved } from "../src/app/shortcuts";

function pressedOn(html: string, key: string, options: KeyboardEventInit = {}): string | null {
  document.body.innerHTML = html;
  const target = document.body.querySelector("[data-target]") ?? document.body;
  let found: string | null = null;
  const listen = (event: Event) => (found = keyOf(event as KeyboardEvent));
  window.addEventListener("keydown", listen);
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...options }));
  window.removeEventListener("keydown", listen);
  return found;
}

describe("keys of any page", () => {
  it("are heard on the page, on buttons and on check boxes", () => {
    expect(pressedOn("<p data-target>x</p>", "j")).toBe("j");
    expect(pressedOn("<button data-target>x</button>", "?")).toBe("?");
    expect(pressedOn('<input type="checkbox" data-target />', "x")).toBe("x");
  });

  it("are letters where text is typed", () => {
    expect(pressedOn("<input data-target />", "j")).toBeNull();
    expect(pressedOn("<textarea data-target></textarea>", "c")).toBeNull();
    expect(pressedOn("<select data-target></select>", "e")).toBeNull();
    expect(pressedOn('<div role="combobox"><span data-target></span></div>', "e")).toBeNull();
  });

  it("leave the browser's own combinations alone", () => {
    expect(pressedOn("<p data-target>x</p>", "c", { ctrlKey: true })).toBeNull();
    expect(pressedOn("<p data-target>x</p>", "e", { altKey: true })).toBeNull();
    expect(pressedOn("<p data-target>x</p>", "K", { ctrlKey: true, shiftKey: true })).toBeNull();
  });

  it("act once while they are held, except those that move", () => {
    expect(pressedOn("<p data-target>x</p>", "j", { repeat: true })).toBe("j");
    expect(pressedOn("<p data-target>x</p>", "k", { repeat: true })).toBe("k");
    expect(pressedOn("<p data-target>x</p>", "x", { repeat: true })).toBeNull();
    expect(pressedOn("<input data-target />", "j", { repeat: true })).toBeNull();
  });

  it("open the palette from anywhere, a text field too", () => {
    expect(pressedOn("<input data-target />", "k", { ctrlKey: true })).toBe("palette");
    expect(pressedOn("<p data-target>x</p>", "k", { metaKey: true })).toBe("palette");
  });
});

describe("keys that come early", () => {
  it("are kept in their order until they are asked for", () => {
    keepKeys();
    expect(pressedOn("<p data-target>x</p>", "g")).toBe("g");
    pressedOn("<input data-target />", "z");
    pressedOn("<p data-target>x</p>", "m");
    expect(keptKeys()).toEqual(["g", "m"]);
    pressedOn("<p data-target>x</p>", "c");
    expect(keptKeys()).toEqual([]);
  });
});

describe("moving through rows", () => {
  beforeEach(() => {
    document.body.innerHTML = ["a", "b"]
      .map((id) => `<div data-row id="${id}"><a href="#${id}" data-open>${id}</a></div>`)
      .join("");
  });

  it("begins at the first row and stays at the last", () => {
    expect(moved(1)).toBe(true);
    expect(currentRow()?.id).toBe("a");
    expect(moved(1)).toBe(true);
    expect(currentRow()?.id).toBe("b");
    expect(moved(1)).toBe(false);
    expect(currentRow()?.id).toBe("b");
    expect(moved(-1)).toBe(true);
    expect(currentRow()?.id).toBe("a");
  });

  it("does nothing on a page without rows", () => {
    document.body.innerHTML = "";
    expect(moved(1)).toBe(false);
  });
});
