/** Short messages above the page's bottom. What can be taken back offers Undo for ten seconds. The library behind them is loaded
 * with the first one. */
import { general } from "$text/general";

const UNDO_MS = 10_000;
const SAID_MS = 4_000;

let needed: () => void = () => undefined;

/** Calls back before the first message, so that there is a place to show it. */
export function whenFirstNeeded(callback: () => void): void {
  needed = callback;
}

async function messages() {
  needed();
  return (await import("svelte-sonner")).toast;
}

export function said(message: string): void {
  void messages().then((toast) => toast.success(message, { duration: SAID_MS }));
}

export function undoable(message: string, undo: () => void | Promise<void>): void {
  const action = { label: general.undo, onClick: () => void undo() };
  void messages().then((toast) => toast(message, { duration: UNDO_MS, action }));
}

export function failed(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  void messages().then((toast) => toast.error(message, { duration: UNDO_MS }));
}
