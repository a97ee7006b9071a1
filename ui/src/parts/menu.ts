import type { Component } from "svelte";

/** An entry of a menu: an act or a link. */
export interface MenuItem {
  label: string;
  icon?: Component<{ size?: number }>;
  /** Shown at the end, such as `e`. */
  key?: string;
  danger?: boolean;
  disabled?: boolean;
  href?: string;
  act?: () => void;
}
