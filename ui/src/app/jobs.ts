/** Which jobs the tray and the overview show. */
import type { Schemas } from "$api/client";

type Job = Schemas["Job"];

const MOST = 5;
/** A job that went well is news for a moment, one that failed until somebody has read it. */
const GOOD_SECONDS = 15;
const FAILED_SECONDS = 600;

export const unfinished = (job: Job): boolean => job.state === "loading" || job.state === "unloading";

/** The newest job of each model on each connection; none that a backend had nothing to do for, none that was `seen` (seconds). */
export function shownJobs(jobs: readonly Job[], now: number, seen: number): Job[] {
  const newest = new Map<string, Job>();
  for (const job of jobs) {
    const key = `${job.connection_id} ${job.upstream_model}`;
    if (!newest.has(key)) newest.set(key, job);
  }
  return [...newest.values()]
    .filter((job) => {
      if (unfinished(job)) return true;
      if (job.state === "not_supported" || job.updated_at <= seen) return false;
      return now - job.updated_at < (job.state === "failed" ? FAILED_SECONDS : GOOD_SECONDS);
    })
    .slice(0, MOST);
}
