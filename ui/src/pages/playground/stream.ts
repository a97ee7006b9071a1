/** Server-sent events out of bytes that arrive in pieces, cut at any place. */

export interface ServerEvent {
  /** `message` unless the server named it. */
  name: string;
  data: string;
}

/** An event without an end is no answer; more is not kept of it. */
const LONGEST_EVENT = 64 * 1024 * 1024;

export class EventReader {
  #decoder = new TextDecoder();
  /** The line that has not ended yet, in the pieces it came in: joined once, so that a long one costs its length. */
  #line: string[] = [];
  #length = 0;
  #afterReturn = false;
  #name = "";
  #data: string[] = [];

  /** The events that are complete with these bytes. */
  push(bytes: Uint8Array): ServerEvent[] {
    return this.#read(this.#decoder.decode(bytes, { stream: true }));
  }

  #read(text: string): ServerEvent[] {
    const found: ServerEvent[] = [];
    let start = 0;
    // A line ends in \n, \r or \r\n; of the last, the halves may come in two pieces.
    if (this.#afterReturn && text) {
      if (text.startsWith("\n")) start = 1;
      this.#afterReturn = false;
    }
    for (;;) {
      const end = lineEnd(text, start);
      if (end < 0) break;
      this.#keep(text.slice(start, end));
      const event = this.#lineDone();
      if (event) found.push(event);
      start = end + 1;
      if (text[end] === "\r") {
        if (start === text.length) this.#afterReturn = true;
        else if (text[start] === "\n") start += 1;
      }
    }
    this.#keep(text.slice(start));
    return found;
  }

  #keep(piece: string): void {
    if (!piece) return;
    this.#length += piece.length;
    if (this.#length > LONGEST_EVENT) throw new RangeError("an event of the stream does not end");
    this.#line.push(piece);
  }

  #lineDone(): ServerEvent | null {
    const line = this.#line.join("");
    this.#line = [];
    if (line) {
      this.#field(line);
      return null;
    }
    this.#length = 0;
    const event = this.#data.length ? { name: this.#name || "message", data: this.#data.join("\n") } : null;
    this.#name = "";
    this.#data = [];
    return event;
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment, which keeps the connection alive
    const field = colon < 0 ? line : line.slice(0, colon);
    const rest = colon < 0 ? "" : line.slice(colon + 1);
    const value = rest.startsWith(" ") ? rest.slice(1) : rest;
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#name = value;
  }
}

function lineEnd(text: string, from: number): number {
  const feed = text.indexOf("\n", from);
  const back = text.indexOf("\r", from);
  if (feed < 0) return back;
  return back < 0 ? feed : Math.min(feed, back);
}

/** The events of an answer's body as they come. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent[]> {
  const reader = new EventReader();
  const source = body.getReader();
  try {
    for (;;) {
      const { done, value } = await source.read();
      if (done) return;
      const found = reader.push(value);
      if (found.length) yield found;
    }
  } finally {
    // Whoever stops reading also ends the call, so that the backend is free again.
    source.cancel().catch(() => {});
  }
}
