/** Images that go with a message: read, made no larger than models look at, written as data addresses. */
import { playground as text } from "$text/playground";

export const IMAGE_TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"] as const;
export const MOST_IMAGES = 8;
const MOST_BYTES = 10 * 1024 * 1024;
const LONGEST_SIDE = 2048;

/** Raises an error that tells the person what is wrong with the file. */
export async function readImage(file: File): Promise<string> {
  const name = file.name || text.images.number(1);
  if (!(IMAGE_TYPES as readonly string[]).includes(file.type)) throw new Error(text.images.wrongType(name));
  if (file.size > MOST_BYTES) throw new Error(text.images.tooLarge(name));
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(text.images.unreadable(name));
  }
  try {
    const { width, height } = fitting(bitmap.width, bitmap.height);
    return width === bitmap.width ? await asAddress(file) : await scaled(bitmap, width, height, file.type);
  } finally {
    bitmap.close();
  }
}

/** The size within the longest side, in the same proportions. */
export function fitting(width: number, height: number): { width: number; height: number } {
  const factor = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * factor)), height: Math.max(1, Math.round(height * factor)) };
}

async function scaled(bitmap: ImageBitmap, width: number, height: number, type: string): Promise<string> {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, width, height);
  // A GIF becomes its first picture: canvases do not write GIF.
  const blob = await canvas.convertToBlob({ type: type === "image/gif" ? "image/png" : type, quality: 0.9 });
  return asAddress(blob);
}

function asAddress(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error ?? new Error());
    reader.readAsDataURL(blob);
  });
}
