/** A conversation with one model: what was said, and the answer that is being given. */
import { send } from "$api/client";
import { Problem } from "$api/problem";
import { inWords } from "./absent";
import { message as messageOf } from "./answer";
import { Message, type Kept } from "./message.svelte";
import { Painter } from "./painter";
import { requestOf, type Request } from "./request";
import { events } from "./stream";

export interface Source {
  model: () => string;
  system: () => string;
  params: () => Record<string, unknown>;
  /** What people are told when the model cannot be called. */
  absent: () => string;
}

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

  /** What would be sent if the person now said this; without a text, what would be if they asked again. */
  request(said = ""): Request {
    if (said) return this.#request([...this.messages, new Message("user", { text: said })]);
    return this.#request(this.answer ? this.messages.slice(0, -1) : this.messages);
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

  /** What can be kept. An answer without its end is one that was stopped. */
  keep(): Kept[] {
    return this.messages.map((message) => {
      const { role, model, text, thinking, calls, figures } = message;
      const stopped = message.stopped || message.streaming || message.problem !== null;
      return { role, model, text, thinking, calls, figures, stopped };
    });
  }

  restore(kept: readonly Kept[]): void {
    this.messages = kept.map(({ role, text, ...rest }) => Object.assign(new Message(role, { text }), rest));
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
      else message.problem = error instanceof Problem ? inWords(error, this.#source.absent) : painter.brokeOff();
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
