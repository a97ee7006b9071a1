/** Markdown read into blocks, while it is still being written. What is read comes from models: it is bounded in size and
 * depth, its HTML is text, and only harmless addresses become links. */
import { Lexer, type Token } from "marked";

interface Block {
  /** Where it begins in the text: a block keeps its key while the text grows. */
  key: number;
  token: Token;
}

const OPTIONS = { gfm: true, breaks: true };
/** Beyond these a text is shown as it is. */
const LONGEST_READ = 200_000;
const LONGEST_LINE = 20_000;
export const DEEPEST = 24;
const NESTED = new RegExp(`^(?:[ \\t]*(?:>|[-*+](?=[ \\t])|\\d{1,9}[.)](?=[ \\t]))){${DEEPEST},}`, "m");
const INDENTED = /^(?: {100,}|\t{25,})[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]/m;

/** Reads a growing text: blocks that are complete are read once, only the last is read again. */
export class Blocks {
  #text = "";
  #done: Block[] = [];
  #end = 0;
  #plain = false;
  // Shared by all readings, so that a link finds the definition of an earlier block.
  #links: Lexer["tokens"]["links"] = Object.create(null) as Lexer["tokens"]["links"];

  /** The blocks, or null when the text is shown as it is. `whole`: nothing more will come. */
  read(text: string, whole: boolean): Block[] | null {
    if (!text.startsWith(this.#text)) this.#forget();
    this.#text = text;
    this.#plain ||= text.length > LONGEST_READ;
    if (this.#plain) return null;
    const before = Object.keys(this.#links).length;
    let blocks = this.#readOn();
    // A definition may stand after the links that need it.
    const defined = Object.keys(this.#links).length;
    if (blocks && whole && defined && (before !== defined || this.#done.length)) {
      this.#done = [];
      this.#end = 0;
      blocks = this.#readOn();
    }
    return blocks;
  }

  #readOn(): Block[] | null {
    const rest = this.#text.slice(this.#end);
    if (unreadable(rest)) return this.#giveUp();
    const lexer = new Lexer(OPTIONS);
    lexer.tokens.links = this.#links;
    let tokens: Token[];
    try {
      tokens = lexer.lex(rest);
    } catch {
      return this.#giveUp(); // too deep for the reader's recursion
    }
    const found: Block[] = [];
    let offset = this.#end;
    for (const token of tokens) {
      if (token.type !== "space" && token.type !== "def") found.push({ key: offset, token });
      offset += token.raw.length;
    }
    const open = found.at(-1);
    // The reader counts tabs and line ends in its own way; a text of which it lost count is read anew each time.
    if (offset === this.#text.length && open) {
      const blocks = [...this.#done, ...found];
      this.#done.push(...found.slice(0, -1));
      this.#end = open.key;
      return blocks;
    }
    return [...this.#done, ...found];
  }

  #giveUp(): null {
    this.#plain = true;
    return null;
  }

  #forget(): void {
    this.#done = [];
    this.#end = 0;
    this.#plain = false;
    this.#links = Object.create(null) as Lexer["tokens"]["links"];
  }
}

/** Whether reading it would take too long or go too deep. */
function unreadable(text: string): boolean {
  if (NESTED.test(text) || INDENTED.test(text)) return true;
  for (let start = 0; start < text.length;) {
    const end = text.indexOf("\n", start);
    if ((end < 0 ? text.length : end) - start > LONGEST_LINE) return true;
    if (end < 0) break;
    start = end + 1;
  }
  return false;
}

/** An address that may be opened; null for any other. */
export function safeLink(href: string): string | null {
  try {
    const url = new URL(href);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null; // not absolute, or nothing at all
  }
}

/** The names that models write; any character can be given by its number. */
const NAMED: Record<string, string> = {
  ...{ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™", deg: "°" },
  ...{ hellip: "…", mdash: "—", ndash: "–", lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”", laquo: "«", raquo: "»" },
  ...{ times: "×", divide: "÷", plusmn: "±", middot: "·", bull: "•", euro: "€", pound: "£", larr: "←", rarr: "→" },
  ...{ le: "≤", ge: "≥", ne: "≠", infin: "∞", pi: "π", alpha: "α", beta: "β", sect: "§", para: "¶", shy: "\u00ad" },
};

/** Text with its character references resolved. */
export function unescaped(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-z]{2,8}));/g, (whole, decimal, hex, name) => {
    if (name) return Object.hasOwn(NAMED, name as string) ? (NAMED[name as string] ?? whole) : whole;
    const code = decimal ? Number(decimal) : parseInt(hex as string, 16);
    const printable = code >= 0x20 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return printable ? String.fromCodePoint(code) : "\ufffd";
  });
}

const PIECE = 10_000;
export const LONGEST_SHOWN = 1_000_000;

/** A long plain text in pieces that stay as they are while it grows, so that only the last is laid out again. */
export function pieces(text: string): string[] {
  const found: string[] = [];
  const shown = text.slice(0, LONGEST_SHOWN);
  let start = 0;
  while (shown.length - start > PIECE) {
    const piece = shown.slice(start, start + PIECE);
    // Between pieces the line breaks: at a line's end, or at least not within a word or a character.
    const line = piece.lastIndexOf("\n");
    const word = piece.lastIndexOf(" ");
    const cut = line > PIECE / 2 ? line + 1 : word > PIECE / 2 ? word + 1 : PIECE - (splitsPair(piece) ? 1 : 0);
    found.push(piece.slice(0, cut));
    start += cut;
  }
  found.push(shown.slice(start));
  return found;
}

function splitsPair(piece: string): boolean {
  const last = piece.charCodeAt(piece.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}
