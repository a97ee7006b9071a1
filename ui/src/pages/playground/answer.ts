/** What a model has answered so far, put together from the chunks of a chat completion. Chunks come from a backend: nothing
 * in them is taken for granted. */

export interface ToolCall {
  id: string;
  name: string;
  /** JSON, as the model wrote it: it may be cut or wrong. */
  arguments: string;
  /** What the person gave as the tool's result; null while there is none. */
  result: string | null;
}

export interface Usage {
  input: number | null;
  output: number | null;
  reasoning: number | null;
  cached: number | null;
  /** In US dollars, where the answer tells it. */
  cost: number | null;
}

const MOST_CALLS = 128;

export class Answer {
  text = "";
  thinking = "";
  calls: ToolCall[] = [];
  finish: string | null = null;
  usage: Usage | null = null;
  model: string | null = null;
  /** How many chunks said something: an estimate of the tokens where no usage comes. */
  pieces = 0;
  /** Why the backend gave up in the middle. */
  fault: string | null = null;

  /** True when the chunk said something. */
  add(chunk: unknown): boolean {
    const told = record(chunk);
    if (told.error !== undefined && told.error !== null) {
      this.fault = message(told.error);
      return false;
    }
    if (typeof told.model === "string") this.model = told.model;
    this.#count(told.usage);
    const choice = list(told.choices)
      .map(record)
      .find((one) => !one.index);
    if (!choice) return false;
    if (typeof choice.finish_reason === "string") this.finish = choice.finish_reason;
    // A backend that cannot stream answers with the message as a whole.
    const said = this.#say(record(choice.delta ?? choice.message));
    if (said) this.pieces += 1;
    return said;
  }

  #say(delta: Record<string, unknown>): boolean {
    const text = plain(delta.content) + plain(delta.refusal);
    const thought = plain(delta.reasoning_content) || plain(delta.reasoning);
    this.text += text;
    this.thinking += thought;
    const calls = list(delta.tool_calls);
    calls.forEach((call, position) => this.#call(record(call), position));
    return text !== "" || thought !== "" || calls.length > 0;
  }

  #call(part: Record<string, unknown>, position: number): void {
    const index = typeof part.index === "number" ? part.index : this.#place(plain(part.id), position);
    if (!Number.isInteger(index) || index < 0 || index > Math.min(this.calls.length, MOST_CALLS - 1)) return;
    const call = (this.calls[index] ??= { id: "", name: "", arguments: "", result: null });
    const told = record(part.function);
    call.id ||= plain(part.id);
    call.name ||= plain(told.name);
    call.arguments +=
      typeof told.arguments === "object" && told.arguments ? JSON.stringify(told.arguments) : plain(told.arguments);
  }

  /** Some backends do not number the calls. */
  #place(id: string, position: number): number {
    if (!id) return position;
    const known = this.calls.findIndex((call) => call.id === id);
    return known < 0 ? this.calls.length : known;
  }

  #count(value: unknown): void {
    if (typeof value !== "object" || value === null) return;
    const told = record(value);
    this.usage = {
      input: number(told.prompt_tokens),
      output: number(told.completion_tokens),
      reasoning: number(record(told.completion_tokens_details).reasoning_tokens),
      cached: number(record(told.prompt_tokens_details).cached_tokens),
      cost: number(told.cost),
    };
  }
}

/** The message of an error in any of the shapes that backends use. */
export function message(error: unknown): string {
  if (typeof error === "string") return error;
  const told = record(error);
  const inner = told.message ?? told.detail ?? (told.error === undefined ? undefined : message(told.error));
  return typeof inner === "string" && inner ? inner : JSON.stringify(error);
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** Text that is a string, or comes as typed parts. */
function plain(value: unknown): string {
  if (typeof value === "string") return value;
  return list(value)
    .map((part) => plain(record(part).text))
    .join("");
}

function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
