import { render } from "@testing-library/svelte";
import { describe, expect, it } from "vitest";
import { Blocks, pieces, safeLink, unescaped } from "$parts/markdown";
import Markdown from "$parts/Markdown.svelte";

const shown = (text: string, streaming = false) => render(Markdown, { text, streaming }).container;

const RICH = `# Title

A paragraph with **bold**, *it*, ~~gone~~ and \`code <b>\`,
second line &amp; [link](https://example.com/a?b=1&c=2) ![a cat](https://example.com/cat.png)

- [ ] open
- [x] done
  - nested

3. three
4. four

> quoted
> > twice

| a | b |
|:--|--:|
| c | **d** |

---

\`\`\`python title="x"
print("<script>")
\`\`\`

[ref] and after

[ref]: https://example.com/ref
`;

describe("Markdown", () => {
  it("shows each kind of block and line", () => {
    const found = shown(RICH);
    expect(found.querySelector("h3")?.textContent).toBe("Title");
    expect(found.querySelector("p")?.textContent).toBe(
      "A paragraph with bold, it, gone and code <b>,second line & link Image: a cat",
    );
    expect([...found.querySelectorAll("a")].map((link) => [link.href, link.rel, link.target])).toEqual([
      ["https://example.com/a?b=1&c=2", "noopener noreferrer", "_blank"],
      ["https://example.com/cat.png", "noopener noreferrer", "_blank"],
      ["https://example.com/ref", "noopener noreferrer", "_blank"],
    ]);
    expect([...found.querySelectorAll("input")].map((box) => [box.type, box.checked, box.disabled])).toEqual([
      ["checkbox", false, true],
      ["checkbox", true, true],
    ]);
    expect(found.querySelectorAll("ul ul li")).toHaveLength(1);
    expect(found.querySelector("ol")?.getAttribute("start")).toBe("3");
    expect(found.querySelectorAll("blockquote blockquote")).toHaveLength(1);
    expect([...found.querySelectorAll("th, td")].map((cell) => cell.textContent)).toEqual(["a", "b", "c", "d"]);
    expect(found.querySelector("pre code")?.textContent).toBe('print("<script>")');
    expect(found.textContent).toContain("python");
    expect(found.querySelector("img")).toBeNull();
  });

  const HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "text <img src=x onerror=alert(1)> text",
    "<svg><script>alert(1)</script></svg>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](java\nscript:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](&#x6A;&#x61;vascript:alert(1))",
    "[a](javascript&colon;alert(1))",
    "[a](<javascript:alert(1)>)",
    "[a]( javascript:alert(1))",
    "[a](\u0001javascript:alert(1))",
    "[a](vbscript:msgbox(1))",
    "[a](data:text/html,<script>alert(1)</script>)",
    "![a](javascript:alert(1))",
    "![a](data:image/svg+xml;base64,PHN2Zy8+)",
    "[a](//evil.example)",
    "[a](/settings)",
    "<javascript:alert(1)>",
    "[ref]\n\n[ref]: javascript:alert(1)",
    '[a](https://x.example "onmouseover=alert(1)")',
    '[a](https://x.example" onmouseover="alert(1))',
    '```"><script>alert(1)</script>\ncode\n```',
    "> - <b onclick=alert(1)>x</b>\n>   1. <a href='javascript:alert(1)'>y</a>",
    "|<script>|\n|--|\n|<img src=x onerror=alert(1)>|",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<style>*{display:none}</style>",
    "<form action=https://evil.example><input name=password></form>",
    "<details open ontoggle=alert(1)>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    '<a href="https://ok.example" onclick=alert(1)>x</a>',
    "# <script>alert(1)</script>",
    "**<script>alert(1)</script>**",
    "[![a](x)](javascript:alert(1))",
  ];
  const ALLOWED = new Set(
    "DIV P H3 H4 H5 H6 STRONG EM DEL CODE PRE BR A UL OL LI BLOCKQUOTE TABLE THEAD TBODY TR TH TD HR SPAN BUTTON".split(
      " ",
    ),
  );

  it.each(HOSTILE)("makes nothing that acts of %s", (text) => {
    for (const streaming of [true, false]) {
      const found = shown(text, streaming);
      for (const element of found.querySelectorAll("*")) {
        if (element.closest("button")) continue; // the copy button and its icon are the page's own
        expect(ALLOWED).toContain(element.tagName);
        expect(element.getAttributeNames().filter((name) => name.startsWith("on") || name === "style")).toEqual([]);
        if (element instanceof HTMLAnchorElement) expect(element.href).toMatch(/^(https?|mailto):/);
      }
    }
  });

  it("shows HTML as the text it is", () => {
    expect(shown("before <b>bold</b> after").textContent).toBe("before <b>bold</b> after");
    expect(shown("<script>alert(1)</script>").textContent).toBe("<script>alert(1)</script>");
    expect(shown("[a](javascript:alert(1))").textContent).toBe("[a](javascript:alert(1))");
  });

  it("reads a growing text as it reads the whole", () => {
    const text = RICH.replace(/\[ref\].*/gs, "");
    const reader = new Blocks();
    for (let end = 1; end < text.length; end += 1) reader.read(text.slice(0, end), false);
    const grown = reader.read(text, true);
    const whole = new Blocks().read(text, true);
    expect(grown?.map(({ token }) => token.raw.trim())).toEqual(whole?.map(({ token }) => token.raw.trim()));
    expect(grown?.map(({ token }) => token.type)).toEqual(whole?.map(({ token }) => token.type));
  });

  it("keeps what is complete while more comes", () => {
    const reader = new Blocks();
    const before = reader.read("# One\n\nTwo\n\nThr", false);
    const after = reader.read("# One\n\nTwo\n\nThree and more", false);
    expect(after?.slice(0, 2)).toEqual(before?.slice(0, 2));
    expect(after?.[0]?.token).toBe(before?.[0]?.token);
    expect(after?.[1]?.token).toBe(before?.[1]?.token);
    expect(after?.map(({ key }) => key)).toEqual(before?.map(({ key }) => key));
  });

  it("begins anew with another text", () => {
    const reader = new Blocks();
    reader.read("one\n\ntwo\n\nthree", false);
    expect(reader.read("other", true)?.map(({ token }) => token.raw)).toEqual(["other"]);
  });

  it("costs the same for each piece however long the answer is", () => {
    const paragraph = `${"lorem ipsum dolor ".repeat(20)}\n\n`;
    const reader = new Blocks();
    let text = "";
    const spans: number[] = [];
    for (let count = 0; count < 500; count += 1) {
      text += paragraph;
      const begun = performance.now();
      reader.read(text, false);
      spans.push(performance.now() - begun);
    }
    const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
    expect(median(spans.slice(-100))).toBeLessThan(median(spans.slice(50, 150)) * 5 + 0.5);
  });

  const PATHOLOGICAL: [string, string][] = [
    ["10,000 quotes", ">".repeat(10_000) + " deep"],
    ["10,000 quotes with spaces", "> ".repeat(10_000) + "deep"],
    ["10,000 numbers", "1. ".repeat(10_000)],
    ["10,000 dashes", "- ".repeat(10_000) + "x"],
    ["lists in lists", Array.from({ length: 600 }, (_, depth) => " ".repeat(depth * 2) + "- a").join("\n")],
    ["brackets", "[".repeat(19_000)],
    ["links in links", "[a](".repeat(4_000)],
    ["stars", "**a *b ".repeat(2_500)],
    ["images in images", "![".repeat(9_000)],
    ["one megabyte", "word ".repeat(200_000)],
    ["one megabyte in one line", "x".repeat(1_000_000)],
    ["many columns", `${"|a".repeat(5_000)}\n${"|-".repeat(5_000)}\n`],
  ];
  it.each(PATHOLOGICAL)("is read quickly: %s", (_, text) => {
    const begun = performance.now();
    new Blocks().read(text, false);
    expect(performance.now() - begun).toBeLessThan(500);
  });

  it("falls back to plain text that loses nothing", () => {
    const plain = (text: string) =>
      [...shown(text).querySelectorAll(".whitespace-pre-wrap")].map((part) => part.textContent).join("");
    const deep = `${">".repeat(10_000)} <script>deep</script>`;
    expect(plain(deep)).toBe(deep);
    const long = "word & <b>\n".repeat(30_000);
    expect(plain(long)).toBe(long);
  });

  it("cuts plain text into pieces that stay and make up the whole", () => {
    const text = `${"word ".repeat(5_000)}${"👩".repeat(20_000)}${"line\n".repeat(5_000)}`;
    const whole = pieces(text);
    expect(whole.join("")).toBe(text);
    const shorter = pieces(text.slice(0, 40_000));
    expect(whole.slice(0, shorter.length - 1)).toEqual(shorter.slice(0, -1));
    for (const piece of whole) expect(() => encodeURIComponent(piece)).not.toThrow(); // no half of a character
  });
});

describe("addresses and characters", () => {
  it("opens only what is harmless", () => {
    expect(safeLink("https://example.com")).toBe("https://example.com/");
    expect(safeLink("mailto:a@example.com")).toBe("mailto:a@example.com");
    for (const href of ["javascript:x", "java\tscript:x", "data:,x", "file:///etc", "blob:x", "/a", "//a", "#a", ""]) {
      expect(safeLink(href)).toBeNull();
    }
  });

  it("resolves character references", () => {
    expect(unescaped("&lt;b&gt; &amp;amp; &#65;&#x1F600; &nosuch; &constructor; &#0; &#xD800;")).toBe(
      "<b> &amp; A😀 &nosuch; &constructor; \ufffd \ufffd",
    );
  });
});
