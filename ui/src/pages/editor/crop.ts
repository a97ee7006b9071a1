/** Which square of a picture is shown, and how it becomes a small one. */

export const SIZE = 250;
export const MOST_BYTES = 20 * 1024 * 1024;
export const KINDS = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/** `zoom` from 1 (the whole shorter side); `x` and `y` from 0 to 1: where the square stands between the picture's edges. */
export interface Cut {
  zoom: number;
  x: number;
  y: number;
}

export const CENTRED: Cut = { zoom: 1, x: 0.5, y: 0.5 };
export const MOST_ZOOM = 5;

const within = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** The square in pixels of the picture. */
export function squareOf(
  width: number,
  height: number,
  { zoom, x, y }: Cut,
): { left: number; top: number; side: number } {
  const side = Math.min(width, height) / within(zoom, 1, MOST_ZOOM);
  return { left: (width - side) * within(x, 0, 1), top: (height - side) * within(y, 0, 1), side };
}

/** The cut after the picture was pulled by so many pixels of the small one. */
export function pulled(cut: Cut, width: number, height: number, right: number, down: number): Cut {
  const { side } = squareOf(width, height, cut);
  const moved = (place: number, pixels: number, length: number): number =>
    length - side < 1 ? place : within(place - (pixels * side) / SIZE / (length - side), 0, 1);
  return { ...cut, x: moved(cut.x, right, width), y: moved(cut.y, down, height) };
}
