import { spawnSync } from "node:child_process";
import { beforeEach, describe, expect, it } from "vitest";
import { Problem } from "$api/problem";
import { inWords } from "$pages/playground/absent";
import { keepDraft, keptDraft } from "$pages/playground/draft";
import { byName } from "$api/model-names";
import { fitting } from "$pages/playground/images";
import { chatModels, firstModel, joined, separated, shortened } from "$pages/playground/models";
import { dollars, duration, pace, tokens } from "$pages/playground/numbers";
import { defaults, parametersOf } from "$pages/playground/params";
import { requestOf, type Request, type Said } from "$pages/playground/request";
import { sample } from "$pages/playground/samples";

const said = (role: Said["role"], text: string, more: Partial<Said> = {}): Said => ({
  ...{ role, text, images: [], calls: [] },
  ...more,
});
const asked = { model: "m", system: "", params: {} };

describe("a request", () => {
  it("holds the system prompt, the parameters and what was said", () => {
    const request = requestOf([said("user", "a"), said("assistant", "b"), said("user", "c")], {
      ...{ model: "m", system: "be kind", params: { seed: 1 } },
    });
    expect(request).toEqual({
      seed: 1,
      model: "m",
      messages: [
        { role: "system", content: "be kind" },
        { role: "user", content: "a" },
        { role: "assistant", content: "b" },
        { role: "user", content: "c" },
      ],
    });
  });

  it("sends images as parts", () => {
    const url = "data:image/png;base64,AA==";
    expect(requestOf([said("user", "what?", { images: [url] })], asked).messages[0]?.content).toEqual([
      { type: "text", text: "what?" },
      { type: "image_url", image_url: { url } },
    ]);
  });

  it("tells of tool calls with their results, and not of those without", () => {
    const call = { id: "1", name: "f", arguments: "{}" };
    const answered = said("assistant", "", { calls: [{ ...call, result: "sun" }] });
    expect(requestOf([answered], asked).messages).toEqual([
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: "1", content: "sun" },
    ]);
    const open = said("assistant", "", { calls: [{ ...call, result: null }] });
    expect(requestOf([said("user", "a"), open, said("user", "b")], asked).messages).toHaveLength(2);
  });

  it("leaves out an answer that never came", () => {
    expect(requestOf([said("user", "a"), said("assistant", "")], asked).messages).toHaveLength(1);
  });
});

describe("parameters", () => {
  it("are only those that were set; the free ones win", () => {
    expect(parametersOf(defaults())).toEqual({ params: {}, faults: {} });
    const settings = {
      ...defaults(),
      temperature: 0,
      stop: ["x"],
      effort: "low",
      free: '{"temperature": 1, "top_k": 4}',
    };
    expect(parametersOf(settings).params).toEqual({ temperature: 1, stop: ["x"], reasoning_effort: "low", top_k: 4 });
  });

  it.each(["{", "[]", "7", "null", '{"model": "x"}', '{"stream": false}'])("refuse %s as other parameters", (free) => {
    expect(parametersOf({ ...defaults(), free }).faults.free).toBeTruthy();
  });

  it.each(["{}", "[1]", "[null]", '[{"type": "function"}]', "[", '[{"type": "function", "function": {}}]'])(
    "refuse %s as tools",
    (tools) => {
      expect(parametersOf({ ...defaults(), tools }).faults.tools).toBeTruthy();
    },
  );

  it("take sound tools", () => {
    const tools = [{ type: "function", function: { name: "f", parameters: {} } }];
    expect(parametersOf({ ...defaults(), tools: JSON.stringify(tools) })).toEqual({ params: { tools }, faults: {} });
  });
});

const ODD = [
  ...['it\'s "quoted" `ticked`', "$HOME $(id) ${x} !! \\ \\\\ \\n", "two\nlines\r\n\ttab", "日本語 👩‍👩‍👧 العربية"],
  ...[
    "\u2028\u2029\u0000\u0007\u007f\ud800",
    "'; rm -rf / #",
    "@file",
    "EOF\n",
    "{\"a\": 'b'}",
    "</script>",
    "%s %0A",
    "",
  ],
];
const request: Request = {
  model: 'it\'s/a "model"',
  messages: ODD.map((content) => ({ role: "user", content })),
  temperature: 0.5,
  logit_bias: { "50256": -100 },
  top_k: 4,
  ["it's"]: [true, false, null, 1e21, -0.5, [], {}],
};
const whole = { ...request, stream: true, stream_options: { include_usage: true } };
const ADDRESS = "http://it's.example/$base";

function run(program: string, input: string, ...options: string[]): string {
  const done = spawnSync(program, options, {
    input,
    encoding: "utf8",
    env: { PATH: process.env.PATH ?? "", LANG: "C.UTF-8" },
  });
  expect(done.stderr).toBe("");
  return done.stdout;
}

describe("samples of code", () => {
  it("in curl reach a real shell as they are", () => {
    const told = `MODELYARD_API_KEY='a key'; curl() { printf '%s\\0' "$@"; }\n${sample("curl", request, ADDRESS)}`;
    const words = run("bash", told).split("\0").slice(0, -1);
    expect(words.slice(0, -1)).toEqual([
      "--no-buffer",
      `${ADDRESS}/v1/chat/completions`,
      ...["--header", "Authorization: Bearer a key", "--header", "Content-Type: application/json", "--data-raw"],
    ]);
    expect(JSON.parse(words.at(-1) ?? "")).toEqual(whole);
  });

  it("in Python are literals that mean the same", () => {
    const reader = `
import ast, json, sys
tree = ast.parse(sys.stdin.buffer.read().decode("utf-8"))
calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
create = next(call for call in calls if getattr(call.func, "attr", "") == "create")
client = next(call for call in calls if getattr(call.func, "id", "") == "OpenAI")
told = {word.arg: ast.literal_eval(word.value) for word in create.keywords}
told.update(told.pop("extra_body", {}))
print(json.dumps([told, ast.literal_eval(client.keywords[0].value)]))
`;
    const [told, base] = JSON.parse(run("python3", sample("python", request, ADDRESS), "-c", reader)) as unknown[];
    expect(told).toEqual(whole);
    expect(base).toBe(`${ADDRESS}/v1`);
  });

  it("in JavaScript are literals that mean the same", () => {
    const odd = { ...request, ["__proto__x"]: 1 };
    Object.defineProperty(odd, "__proto__", { value: { own: true }, enumerable: true });
    const code = sample("javascript", odd, ADDRESS).replace(/^import .*$/m, "");
    const told = run(
      "node",
      `const process = globalThis.process;
       class OpenAI { constructor(o) { this.base = o.baseURL; this.chat = { completions: { create: async (body) => {
         process.stdout.write(JSON.stringify([body, this.base])); return []; } } }; } }
       ${code}`,
      "--input-type=module",
      "-",
    );
    const [body, base] = JSON.parse(told) as [Record<string, unknown>, string];
    expect(Object.hasOwn(body, "__proto__")).toBe(true);
    expect(body.messages).toEqual(whole.messages);
    expect(body.logit_bias).toEqual(request.logit_bias);
    expect(base).toBe(`${ADDRESS}/v1`);
  });

  it("have marks in place of images", () => {
    const content = [{ type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(1e6)}` } }];
    const code = sample("curl", { model: "m", messages: [{ role: "user", content }] }, ADDRESS);
    expect(code).toContain("data:image/png;base64,IMAGE_1");
    expect(code.length).toBeLessThan(1000);
  });
});

describe("the draft", () => {
  beforeEach(() => sessionStorage.clear());
  const draft = { input: "half a", settings: { ...defaults(), system: "s" }, panes: [] };

  it("comes back, for the same person", () => {
    keepDraft("ada", draft);
    expect(keptDraft("ada")).toEqual(draft);
    expect(keptDraft("bob").input).toBe("");
    expect(keptDraft("ada").input).toBe("");
  });

  it("is bounded, and what is broken is forgotten", () => {
    const kept = {
      ...{ role: "user" as const, model: "", thinking: "", calls: [], figures: null, stopped: false },
      text: "x".repeat(2e6),
    };
    keepDraft("ada", { ...draft, panes: [[kept]] });
    expect(keptDraft("ada")).toEqual(draft);
    sessionStorage.setItem("modelyard.playground.ada", "{");
    expect(keptDraft("ada").input).toBe("");
  });
});

describe("models", () => {
  it("begin with the default that there is", () => {
    const models = ["a", "b"].map((id) => ({ id, name: id, vision: null, suggestions: [] }));
    expect(firstModel(models, "gone, b")).toBe("b");
    expect(firstModel(models, null)).toBe("a");
    expect(firstModel([], "b")).toBe("");
  });

  it("are found with and without :latest", () => {
    const models = chatModels([{ id: "llama3:latest" }, { id: "mine" }]);
    expect(["llama3", "llama3:latest", "llama3:8b"].map((id) => byName(models, id)?.id)).toEqual([
      "llama3:latest",
      "llama3:latest",
      undefined,
    ]);
  });

  it("have names that fit into a sentence", () => {
    expect(shortened("Pirate")).toBe("Pirate");
    expect(shortened("W".repeat(200))).toBe(`${"W".repeat(40)}…`);
    expect(shortened("🏴".repeat(41))).toBe(`${"🏴".repeat(40)}…`);
  });

  it("that cannot be called are told in words of the page, but not what a backend says", () => {
    const ours = "The model `x` does not exist or you have no access to it. `GET /v1/models` lists those you may use.";
    expect(inWords(new Problem(404, ours, {}, "01"), () => "It is gone.")).toMatchObject({
      ...{ message: "It is gone.", status: 404, requestId: "01" },
    });
    const theirs = new Problem(404, "model 'x' not found");
    expect(inWords(theirs, () => "It is gone.")).toBe(theirs);
  });

  it("travel in the address whatever their names are", () => {
    const ids = ["a,b", "100%", "%2C", "org/model:tag", "日本"];
    expect(separated(joined(ids))).toEqual(ids);
    expect(separated("a,b")).toEqual(["a", "b"]);
  });
});

describe("figures", () => {
  it("are short and true", () => {
    expect([tokens(9999), tokens(12_400), tokens(null)]).toEqual(["9,999", "12.4k", "–"]);
    expect([duration(840), duration(2100), duration(61_000)]).toEqual(["840 ms", "2.10 s", "61.0 s"]);
    expect([pace(51.26), pace(1234)]).toEqual(["51.3", "1,234"]);
    expect([dollars(0), dollars(0.0021), dollars(0.000_004_2), dollars(12.345)]).toEqual([
      ...["$0", "$0.0021", "$0.0000042", "$12.35"],
    ]);
  });
  it("of images fit the longest side", () => {
    expect(fitting(4096, 1024)).toEqual({ width: 2048, height: 512 });
    expect(fitting(10_000, 1)).toEqual({ width: 2048, height: 1 });
    expect(fitting(640, 480)).toEqual({ width: 640, height: 480 });
  });
});
