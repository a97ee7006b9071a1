/** Shows an answer while it comes: gathers what is read and puts it into the message once for each frame. */
import { flushSync } from "svelte";
import { Problem } from "$api/problem";
import { playground as text } from "$text/playground";
import { Answer } from "./answer";
import type { Figures, Message } from "./message.svelte";

/** What came all at once has no pace. */
const SHORTEST_SPAN_MS = 10;

/** A frame that took longer than this is followed by a rest of several times its length, so that the page stays quick
 * however long the answer is. */
const COSTLY_MS = 8;
const REST = 4;

export class Painter {
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
      tokensPerSecond: output > 1 && span >= SHORTEST_SPAN_MS ? ((output - 1) * 1000) / span : null,
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
