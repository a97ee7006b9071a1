/** One message of a conversation, and the figures of an answer. */
import type { ToolCall } from "./answer";

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

/** What a message is kept as over a reload; images are too large for that. */
export type Kept = Pick<Message, "role" | "model" | "text" | "thinking" | "calls" | "figures">;
