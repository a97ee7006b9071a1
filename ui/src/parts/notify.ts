/** Short messages at the page's bottom. What can be taken back offers Undo for ten seconds. */
import { toast } from "svelte-sonner";
import { general } from "$text/general";

const UNDO_MS = 10_000;
const SAID_MS = 4_000;

export function said(message: string): void {
  toast.success(message, { duration: SAID_MS });
}

export function undoable(message: string, undo: () => void | Promise<void>): void {
  toast(message, { duration: UNDO_MS, action: { label: general.undo, onClick: () => void undo() } });
}

export function failed(error: unknown): void {
  toast.error(error instanceof Error ? error.message : String(error), { duration: UNDO_MS });
}
