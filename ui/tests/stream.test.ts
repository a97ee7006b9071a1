import { describe, expect, it } from "vitest";
import { Answer, message } from "$pages/playground/answer";
import { EventReader, events, type ServerEvent } from "$pages/playground/stream";

const encoder = new TextEncoder();

function read(text: string, step: number): ServerEvent[] {
  const bytes = encoder.encode(text);
  const reader = new EventReader();
  const found: ServerEvent[] = [];
  for (let start = 0; start < bytes.length; start += step) found.push(...reader.push(bytes.slice(start, start + step)));
  return found;
}

const WRITTEN = [
  ": comment\n",
  "data: one\n\n",
  "event: error\r\ndata: Grüße 👩‍👩‍👧 \u2028 end\r\n\r\n",
  "data:two\rdata: lines\r\r",
  "id: 7\nretry: 5\ndata\n\n",
  "\n\nevent: lonely\n\n",
  'data: {"a":1}\n\ndata: [DONE]\n\n',
].join("");
const EXPECTED = [
  { name: "message", data: "one" },
  { name: "error", data: "Grüße 👩‍👩‍👧 \u2028 end" },
  { name: "message", data: "two\nlines" },
  { name: "message", data: "" },
  { name: "message", data: '{"a":1}' },
  { name: "message", data: "[DONE]" },
];

describe("events of a stream", () => {
  it.each([1, 2, 3, 5, 7, 64, 100_000])("are the same however the bytes are cut (%i)", (step) => {
    expect(read(WRITTEN, step)).toEqual(EXPECTED);
  });

  it("does not tell of an event that has not ended", () => {
    expect(read("data: half", 3)).toEqual([]);
    expect(read("data: half\n", 100)).toEqual([]);
  });

  it("reads a line of 8 MB in pieces of 1 KB in the time of its length", () => {
    const begun = performance.now();
    expect(read(`data: ${"x".repeat(8_000_000)}\n\n`, 1024)[0]?.data).toHaveLength(8_000_000);
    expect(performance.now() - begun).toBeLessThan(3000);
  });

  it("refuses an event without an end", () => {
    const reader = new EventReader();
    const piece = encoder.encode("x".repeat(1024 * 1024));
    expect(() => {
      for (let count = 0; count < 70; count += 1) reader.push(piece);
    }).toThrow(RangeError);
  });

  it("cancels the body when its reader leaves", async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(encoder.encode("data: a\n\n")),
      cancel: () => void (cancelled = true),
    });
    for await (const found of events(body)) {
      expect(found[0]?.data).toBe("a");
      break;
    }
    expect(cancelled).toBe(true);
  });
});

const delta = (part: unknown, finish: string | null = null) => ({
  choices: [{ index: 0, delta: part, finish_reason: finish }],
});

describe("an answer", () => {
  it("is put together from text, thinking under both names, and usage", () => {
    const answer = new Answer();
    answer.add(delta({ role: "assistant", content: "" }));
    answer.add(delta({ reasoning_content: "Let me " }));
    answer.add(delta({ reasoning: "think." }));
    answer.add(delta({ content: "Hel" }));
    answer.add(delta({ content: [{ type: "text", text: "lo" }] }, "length"));
    answer.add({
      choices: [],
      usage: { prompt_tokens: 3, completion_tokens: 9, completion_tokens_details: { reasoning_tokens: 4 }, cost: 0.5 },
    });
    expect([answer.text, answer.thinking, answer.finish, answer.pieces]).toEqual([
      "Hello",
      "Let me think.",
      "length",
      4,
    ]);
    expect(answer.usage).toEqual({ input: 3, output: 9, reasoning: 4, cached: null, cost: 0.5 });
  });

  it("gathers the arguments of tool calls that come in turns", () => {
    const answer = new Answer();
    const call = (index: number, part: object) => answer.add(delta({ tool_calls: [{ index, ...part }] }));
    call(0, { id: "a", function: { name: "first", arguments: "" } });
    call(1, { id: "b", function: { name: "second", arguments: "{" } });
    call(0, { function: { arguments: '{"x"' } });
    call(1, { function: { arguments: "}" } });
    call(0, { function: { arguments: ":1}" } });
    expect(answer.calls).toEqual([
      { id: "a", name: "first", arguments: '{"x":1}', result: null },
      { id: "b", name: "second", arguments: "{}", result: null },
    ]);
  });

  it("tells calls apart by their ids where they have no number", () => {
    const answer = new Answer();
    for (const id of ["a", "b"])
      answer.add(delta({ tool_calls: [{ id, function: { name: id, arguments: { n: 1 } } }] }));
    expect(answer.calls.map((call) => [call.name, call.arguments])).toEqual([
      ["a", '{"n":1}'],
      ["b", '{"n":1}'],
    ]);
  });

  it("takes nothing from chunks that are not what they should be", () => {
    const answer = new Answer();
    const odd = [null, 1, "x", [], {}, { choices: 7 }, { choices: [null] }, delta(null), delta({ content: 5 })];
    for (const chunk of odd) expect(answer.add(chunk)).toBe(false);
    answer.add(delta({ tool_calls: [{ index: 1e9, function: { name: "x" } }, { index: -1 }, { index: "a" }] }));
    answer.add({ choices: [{ index: 1, delta: { content: "other" } }], usage: { prompt_tokens: "many" } });
    expect([answer.text, answer.calls.length, answer.usage?.input]).toEqual(["", 0, null]);
  });

  it("keeps the backend's reason for giving up, in whichever shape", () => {
    const answer = new Answer();
    answer.add({ error: { message: "overloaded", type: "x" } });
    expect(answer.fault).toBe("overloaded");
    expect(message({ error: { message: "deep" } })).toBe("deep");
    expect(message({ detail: "told" })).toBe("told");
    expect(message({ code: 7 })).toBe('{"code":7}');
  });
});
