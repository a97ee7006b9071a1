/** The time, as often as ages on a page need it. */
const BEAT_MS = 10_000;

class Clock {
  #beat = $state(0);

  constructor() {
    const tick = (): void => {
      if (!document.hidden) this.#beat += 1;
    };
    setInterval(tick, BEAT_MS);
    document.addEventListener("visibilitychange", tick);
  }

  /** Seconds since 1970, read anew whenever it is asked for: what has just happened lies in the past. */
  get now(): number {
    void this.#beat;
    return Date.now() / 1000;
  }
}

export const clock = new Clock();
