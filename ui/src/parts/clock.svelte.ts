/** The time, as often as ages on a page need it. */
class Clock {
  /** Seconds since 1970. */
  now = $state(Date.now() / 1000);

  constructor() {
    setInterval(() => {
      if (!document.hidden) this.now = Date.now() / 1000;
    }, 10_000);
  }
}

export const clock = new Clock();
