/** The time, as often as ages on a page need it. */
class Clock {
  #tick = $state(0);

  constructor() {
    setInterval(() => this.#show(), 10_000);
    // A tab that was hidden tells old ages until it is looked at.
    document.addEventListener("visibilitychange", () => this.#show());
  }

  #show(): void {
    if (!document.hidden) this.#tick += 1;
  }

  /** Seconds since 1970, as they are when asked: the tick only says when to ask again. */
  get now(): number {
    void this.#tick;
    return Date.now() / 1000;
  }
}

export const clock = new Clock();
