/** The models side by side, each with its conversation. Which they are is told by the address. */
import { Conversation, type Source } from "./conversation.svelte";

export const MOST_PANES = 4;
let panesMade = 0;

type Shared = Omit<Source, "model" | "absent"> & { absent: (model: string) => string };

export class Pane {
  readonly key = (panesMade += 1);
  model = $state("");
  readonly conversation: Conversation;

  constructor(shared: Shared) {
    const own = { model: () => this.model, absent: () => shared.absent(this.model) };
    this.conversation = new Conversation({ ...shared, ...own });
  }
}

export class Panes {
  all = $state<Pane[]>([]);
  #shared: Shared;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  get busy(): boolean {
    return this.all.some((pane) => pane.conversation.busy);
  }

  /** Whether something was said already. */
  get begun(): boolean {
    return this.all.some((pane) => pane.conversation.messages.length > 0);
  }

  get models(): string[] {
    return this.all.map((pane) => pane.model);
  }

  /** As many panes as models, in their order; conversations stay where they are. */
  show(models: readonly string[]): void {
    const wanted = models.slice(0, MOST_PANES);
    this.all.slice(wanted.length).forEach((pane) => pane.conversation.stop());
    const panes = wanted.map((model, index) => {
      const pane = this.all[index] ?? new Pane(this.#shared);
      if (pane.model !== model) pane.model = model;
      return pane;
    });
    if (panes.length !== this.all.length || panes.some((pane, index) => pane !== this.all[index])) this.all = panes;
  }

  remove(pane: Pane): void {
    pane.conversation.stop();
    this.all = this.all.filter((other) => other !== pane);
  }

  send(text: string, images: readonly string[]): void {
    for (const pane of this.all) if (pane.model) void pane.conversation.send(text, images);
  }

  stop(): void {
    for (const pane of this.all) pane.conversation.stop();
  }

  clear(): void {
    for (const pane of this.all) pane.conversation.clear();
  }
}
