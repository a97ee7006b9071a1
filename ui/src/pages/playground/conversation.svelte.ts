/** A conversation with one model: what was said, and the answer that is being given. */
import { flushSync } from "svelte";
import { send } from "$api/client";
import { Problem } from "$api/problem";
import { playground as text } from "$text/playground";
import { Answer, message as messageOf, type ToolCall } from "./answer";
import { requestOf, type Request } from "./request";
import { events } from "./stream";

/** What an answer has cost in time, tokens and money. null: not known. */
export interface Figures {
  firstTokenMs: number | null;
  tokensPerSecond: number | null;
  inputTokens: number | null;
  outputTokens: number | null;
  reasoningTokens: number | null;
  cachedTokens: number | null;
  /** The backend did not count: output tokens are the pieces that came. */
  estimated: boolean;
  costUsd: number | null;
  requestId: string | null;
  /** The model and the connection that really answered, which a preset or a fallback may have changed. */
  model: string | null;
  connection: string | null;
  attempts: number;
  /** Parameters that the backend could not be told. */
  losses: string[];
}

let messagesMade = 0;

export class Message {
  readonly key = (messagesMade += 1);
  readonly role: "user" | "assistant";
  /** The model that was asked. */
  model = "";
  text = $state("");
  images = $state.raw<readonly string[]>([]);
  thinking = $state("");
  calls = $state.raw<readonly ToolCall[]>([]);
  figures = $state.raw<Figures | null>(null);
  finish = $state<string | null>(null);
  problem = $state.raw<unknown>(null);
  stopped = $state(false);
  streaming = $state(false);

  constructor(role: "user" | "assistant", said: { text?: string; images?: readonly string[] } = {}) {
    this.role = role;
    this.text = said.text ?? "";
    this.images = said.images ?? [];
  }
}

export interface Source {
  model: () => string;
  system: () => string;
  params: () => Record<string, unknown>;
}

/** What a message is kept as over a reload; images are too large for that. */
export type Kept = Pick<Message, "role" | "model" | "text" | "thinking" | "calls" | "figures">;

export class Conversation {
  messages = $state<Message[]>([]);
  busy = $state(false);
  #source: Source;
  #call: AbortController | null = null;

  constructor(source: Source) {
    this.#source = source;
  }

  /** The last answer; null when nothing was asked yet. */
  get answer(): Message | null {
    const last = this.messages.at(-1);
    return last?.role === "assistant" ? last : null;
  }

  /** What would be sent if the person now said this. */
  request(said = "", images: readonly string[] = []): Request {
    const next = said || images.length ? [new Message("user", { text: said, images })] : [];
    return this.#request([...this.messages, ...next]);
  }

  async send(said: string, images: readonly string[] = []): Promise<void> {
    if (this.busy) return;
    this.messages.push(new Message("user", { text: said, images }));
    await this.#ask();
  }

  /** Ends the answer that is being given; what came stays. */
  stop(): void {
    this.#call?.abort();
  }

  /** Says something else at this place; what followed is gone. */
  async edit(index: number, said: string): Promise<void> {
    const before = this.messages[index];
    if (this.busy || before?.role !== "user") return;
    const message = new Message("user", { text: said, images: before.images });
    this.messages = [...this.messages.slice(0, index), message];
    await this.#ask();
  }

  /** Asks again for the last answer. */
  async resend(): Promise<void> {
    if (this.busy) return;
    if (this.answer) this.messages.pop();
    if (this.messages.length) await this.#ask();
  }

  /** Gives the results of the tools that the last answer calls, in their order, and goes on. */
  async answerTools(results: readonly string[]): Promise<void> {
    const answer = this.answer;
    if (this.busy || !answer) return;
    answer.calls = answer.calls.map((call, index) => ({ ...call, result: results[index] ?? "" }));
    await this.#ask();
  }

  clear(): void {
    this.stop();
    this.messages = [];
  }

  keep(): Kept[] {
    return this.messages.map(({ role, model, text, thinking, calls, figures }) => ({
      role,
      model,
      text,
      thinking,
      calls,
      figures,
    }));
  }

  restore(kept: readonly Kept[]): void {
    this.messages = kept.map(({ role, model, text, thinking, calls, figures }) => {
      const message = new Message(role, { text });
      message.model = model;
      message.thinking = thinking;
      message.calls = calls;
      message.figures = figures;
      return message;
    });
  }

  #request(messages: readonly Message[]): Request {
    const { model, system, params } = this.#source;
    return requestOf(messages, { model: model(), system: system(), params: params() });
  }

  async #ask(): Promise<void> {
    const request = this.#request(this.messages);
    const message = new Message("assistant");
    message.model = request.model;
    message.streaming = true;
    this.messages.push(message);
    const call = new AbortController();
    this.#call = call;
    this.busy = true;
    const painter = new Painter(message);
    try {
      await receive(request, call.signal, painter);
    } catch (error) {
      if (call.signal.aborted) message.stopped = true;
      else message.problem = error instanceof Problem ? error : painter.brokeOff();
    } finally {
      painter.finish();
      message.streaming = false;
      if (this.#call === call) {
        this.#call = null;
        this.busy = false;
      }
    }
  }
}

async function receive(request: Request, signal: AbortSignal, painter: Painter): Promise<void> {
  const response = await send("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  painter.begun(response);
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    painter.add(await response.json());
    return painter.check();
  }
  if (!response.body) throw painter.brokeOff();
  let done = false;
  for await (const found of events(response.body)) {
    for (const { name, data } of found) {
      done ||= data === "[DONE]";
      // Read on to the end of the body, so that the connection can be used again.
      if (done) break;
      const chunk: unknown = JSON.parse(data);
      if (name === "error") throw painter.failed(messageOf(chunk));
      painter.add(chunk);
      painter.check();
    }
  }
  if (!done) throw painter.brokeOff();
}

/** A frame that took longer than this is followed by a rest of several times its length, so that the page stays quick
 * however long the answer is. */
const COSTLY_MS = 8;
const REST = 4;

/** Gathers what comes and shows it once for each frame of the screen. */
class Painter {
  #message: Message;
  #answer = new Answer();
  #response: Response | null = null;
  #asked = performance.now();
  #first: number | null = null;
  #last = 0;
  #frame = 0;
  #rest = 0;

  constructor(message: Message) {
    this.#message = message;
  }

  begun(response: Response): void {
    this.#response = response;
  }

  add(chunk: unknown): void {
    if (!this.#answer.add(chunk)) return;
    this.#last = performance.now();
    this.#first ??= this.#last;
    if (!this.#frame && !this.#rest) this.#frame = requestAnimationFrame(() => this.#paint());
  }

  /** Raises what the backend told in the middle of its answer. */
  check(): void {
    if (this.#answer.fault !== null) throw this.failed(this.#answer.fault);
  }

  brokeOff(): Problem {
    return this.failed(text.brokeOff);
  }

  failed(message: string): Problem {
    const id = this.#response?.headers.get("x-request-id") ?? null;
    return new Problem(this.#response?.status ?? 0, message, {}, id);
  }

  finish(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#rest);
    this.#show();
    this.#message.finish = this.#answer.finish;
    this.#message.figures = this.#response ? this.#figures(this.#response.headers) : null;
  }

  #paint(): void {
    this.#frame = 0;
    const begun = performance.now();
    flushSync(() => this.#show());
    const took = performance.now() - begun;
    if (took < COSTLY_MS) return;
    this.#rest = window.setTimeout(() => {
      this.#rest = 0;
      this.#frame = requestAnimationFrame(() => this.#paint());
    }, took * REST);
  }

  #show(): void {
    this.#message.text = this.#answer.text;
    this.#message.thinking = this.#answer.thinking;
    if (this.#answer.calls.length) this.#message.calls = this.#answer.calls.map((call) => ({ ...call }));
  }

  #figures(headers: Headers): Figures {
    const { usage, pieces, model } = this.#answer;
    const estimated = usage?.output == null;
    const output = usage?.output ?? pieces;
    // The first token is the time before it; the pace is that of the others.
    const span = this.#first === null ? 0 : this.#last - this.#first;
    return {
      firstTokenMs: this.#first === null ? null : this.#first - this.#asked,
      tokensPerSecond: output > 1 && span > 0 ? ((output - 1) * 1000) / span : null,
      inputTokens: usage?.input ?? null,
      outputTokens: output,
      reasoningTokens: usage?.reasoning ?? null,
      cachedTokens: usage?.cached ?? null,
      estimated,
      costUsd: usage?.cost ?? null,
      requestId: headers.get("x-request-id"),
      model: headers.get("x-modelyard-model") ?? model,
      connection: headers.get("x-modelyard-connection"),
      attempts: Number(headers.get("x-modelyard-attempts") ?? 1),
      losses: (headers.get("x-modelyard-loss") ?? "").split(",").flatMap((name) => name.trim() || []),
    };
  }
}
