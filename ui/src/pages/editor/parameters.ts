/** Parameters that a model can set: kind, usual range and where they go. Words: `$text/parameters`. */
import { parameterWords } from "$text/parameters";

type ParameterName = keyof typeof parameterWords;
export type ParameterGroup = "sampling" | "length" | "local" | "client";

/** How a value is entered. `start` is what it begins with when it is no longer left to the default. */
export type Kind =
  | { kind: "number"; start: number; min?: number; max?: number; step?: number }
  | { kind: "truth"; start: boolean }
  | { kind: "choice"; start: string | number | boolean; options: readonly (string | number | boolean)[] }
  /** A list of texts, one on a line. */
  | { kind: "lines"; start: string[] }
  /** A JSON object. */
  | { kind: "object"; start: Record<string, unknown> }
  /** JSON when it can be read as such, else the text itself. */
  | { kind: "loose"; start: string }
  /** Two texts, or false for none. */
  | { kind: "pair"; start: string[] };

export type Parameter = Kind & { name: ParameterName; group: ParameterGroup };

const whole = (start: number, min?: number, max?: number): Kind => ({ kind: "number", start, step: 1, min, max });
const real = (start: number, min: number, max?: number): Kind => ({ kind: "number", start, step: 0.01, min, max });

const rows: [ParameterGroup, ParameterName, Kind][] = [
  ["sampling", "temperature", real(0.8, 0, 2)],
  ["sampling", "top_p", real(0.9, 0, 1)],
  ["sampling", "top_k", whole(40, 0, 1000)],
  ["sampling", "min_p", real(0.05, 0, 1)],
  ["sampling", "seed", whole(1)],
  ["sampling", "frequency_penalty", real(0, -2, 2)],
  ["sampling", "presence_penalty", real(0, -2, 2)],
  ["sampling", "repeat_penalty", real(1.1, 0, 2)],
  ["sampling", "repeat_last_n", whole(64, -1)],
  ["sampling", "tfs_z", real(1, 0, 2)],
  ["sampling", "mirostat", { kind: "choice", start: 1, options: [0, 1, 2] }],
  ["sampling", "mirostat_eta", real(0.1, 0, 1)],
  ["sampling", "mirostat_tau", real(5, 0, 10)],
  ["sampling", "logit_bias", { kind: "object", start: {} }],
  ["length", "max_tokens", whole(1024, 1)],
  ["length", "stop", { kind: "lines", start: [] }],
  [
    "length",
    "reasoning_effort",
    { kind: "choice", start: "medium", options: ["none", "minimal", "low", "medium", "high"] },
  ],
  ["length", "think", { kind: "choice", start: true, options: [true, false, "low", "medium", "high"] }],
  ["length", "format", { kind: "loose", start: "json" }],
  ["local", "num_ctx", whole(4096, 1)],
  ["local", "num_keep", whole(24, -1)],
  ["local", "num_batch", whole(512, 1)],
  ["local", "num_thread", whole(4, 1)],
  ["local", "num_gpu", whole(0, 0)],
  ["local", "keep_alive", { kind: "loose", start: "5m" }],
  ["local", "use_mmap", { kind: "truth", start: true }],
  ["local", "use_mlock", { kind: "truth", start: true }],
  ["client", "stream_response", { kind: "truth", start: true }],
  ["client", "stream_delta_chunk_size", whole(1, 1)],
  ["client", "function_calling", { kind: "choice", start: "native", options: ["native"] }],
  ["client", "reasoning_tags", { kind: "pair", start: ["<think>", "</think>"] }],
];

export const parameters: readonly Parameter[] = rows.map(([group, name, kind]) => ({ ...kind, group, name }));
export const parameterGroups: readonly ParameterGroup[] = ["sampling", "length", "local", "client"];

const known = new Set<string>(parameters.map((parameter) => parameter.name));
export const isKnown = (name: string): name is ParameterName => known.has(name);

/** What chat applications read and no backend is sent, as the server has it. Nothing of it can be locked. */
const APPLICATION_ONLY = new Set([
  ...parameters.filter((parameter) => parameter.group === "client").map((parameter) => parameter.name as string),
  "system",
  "custom_params",
  "compact_token_threshold",
  "note_id",
  "tool_approval_mode",
  "model_controls",
  "locked",
  "strict",
  "model",
  "messages",
  "prompt",
  "input",
  "stream",
  "stream_options",
]);

/** The parameters that a call is given: those that are set, with the custom ones laid over them. */
export function sentParameters(params: Record<string, unknown>): Record<string, unknown> {
  const sent: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(params)) {
    if (!APPLICATION_ONLY.has(name) && value !== null && value !== undefined && value !== "") sent[name] = value;
  }
  const custom = params.custom_params;
  if (typeof custom === "object" && custom !== null) {
    for (const [name, value] of Object.entries(custom as Record<string, unknown>)) {
      if (!APPLICATION_ONLY.has(name)) sent[name] = loose(value);
    }
  }
  return sent;
}

/** A text as JSON when it is JSON, else as it is. */
export function loose(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

/** A value as a person edits it: text as it is, anything else as JSON. */
export const asText = (value: unknown): string =>
  typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);

/** Stop sequences, one on a line; a line break within one is written `\n`. */
export const linesOf = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/\\([nt\\])/g, (_, letter: string) => ({ n: "\n", t: "\t" })[letter] ?? "\\"));

export const textOfLines = (value: unknown): string =>
  (Array.isArray(value) ? value : value === undefined || value === null ? [] : [value])
    .map((line) => String(line).replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/\t/g, "\\t"))
    .join("\n");
