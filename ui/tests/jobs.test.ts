import { describe, expect, it } from "vitest";
import { shownJobs } from "../src/app/jobs";

type Job = Parameters<typeof shownJobs>[0][number];

const NOW = 1_000_000;
const job = (fields: Partial<Job>): Job => ({
  id: "1",
  kind: "load",
  model_id: "preset",
  connection_id: "c",
  connection: "Workshop",
  upstream_model: "llama",
  state: "loaded",
  reason: null,
  user_id: "u",
  created_at: NOW - 5,
  updated_at: NOW - 5,
  ...fields,
});

describe("the job tray", () => {
  it("shows what runs, however long, and the newest of each model", () => {
    const running = job({ id: "2", state: "loading", updated_at: NOW - 4000 });
    expect(shownJobs([running, job({})], NOW, 0)).toEqual([running]);
  });

  it("lets what went well go after a moment and keeps a failure until it was read", () => {
    expect(shownJobs([job({})], NOW, 0)).toHaveLength(1);
    expect(shownJobs([job({ updated_at: NOW - 20 })], NOW, 0)).toEqual([]);
    const failed = job({ state: "failed", updated_at: NOW - 120 });
    expect(shownJobs([failed], NOW, 0)).toEqual([failed]);
    expect(shownJobs([failed], NOW, NOW - 60)).toEqual([]);
  });

  it("says nothing of backends that load by themselves", () => {
    expect(shownJobs([job({ state: "not_supported" })], NOW, 0)).toEqual([]);
  });
});
