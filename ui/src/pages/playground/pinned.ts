/** Keeps a box at its bottom while what it shows grows, unless the person has scrolled up to read. */
import type { Attachment } from "svelte/attachments";

const NEAR = 32;

export const pinned: Attachment<HTMLElement> = (box) => {
  let atBottom = true;
  const scrolled = () => (atBottom = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR);
  // After layout: asking for the height costs nothing there.
  const grown = new ResizeObserver(() => {
    if (atBottom) box.scrollTop = box.scrollHeight;
  });
  grown.observe(box);
  if (box.firstElementChild) grown.observe(box.firstElementChild);
  box.addEventListener("scroll", scrolled, { passive: true });
  return () => {
    grown.disconnect();
    box.removeEventListener("scroll", scrolled);
  };
};
