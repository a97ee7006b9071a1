import { Problem } from "$api/problem";

/** What a form asks of the server: which of its acts is under way, and the problem with which the last one ended. */
export class Attempt<Act extends string> {
  busy = $state<Act | "">("");
  problem = $state.raw<Problem | null>(null);

  /** Messages of the last one by the form's field. */
  get fields(): Record<string, string> {
    return this.problem?.fields ?? {};
  }

  /** True when it was done; a second act has to wait for the first. What is no answer of the server is a fault of this
   * program and none of the form. */
  async run(act: Act, work: () => Promise<void>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = act;
    this.problem = null;
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
      return false;
    } finally {
      this.busy = "";
    }
  }
}
