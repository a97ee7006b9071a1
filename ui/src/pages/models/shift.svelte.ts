/** Whether the Shift key is held, so that rows can show their quick actions. Not while somebody types. */
class Shift {
  held = $state(false);

  constructor() {
    const typing = (target: EventTarget | null) =>
      target instanceof Element && target.matches("input, textarea, select");
    addEventListener("keydown", (event) => {
      if (event.key === "Shift" && !typing(event.target)) this.held = true;
    });
    addEventListener("keyup", (event) => {
      if (event.key === "Shift") this.held = false;
    });
    addEventListener("blur", () => (this.held = false));
  }
}

export const shift = new Shift();
