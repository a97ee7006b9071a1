import { describe, expect, it } from "vitest";
import { problemOf } from "../src/api/problem";

const answer = (status: number) => new Response(null, { status, headers: { "x-request-id": "r-1" } });

describe("what went wrong", () => {
  it("is read from every dialect's refusal", () => {
    expect(problemOf(answer(404), { detail: "No such model." }).message).toBe("No such model.");
    expect(problemOf(answer(429), { error: { message: "Slow down.", type: "rate_limit" } }).message).toBe("Slow down.");
    expect(problemOf(answer(502), { error: "Away." }).message).toBe("Away.");
    expect(problemOf(answer(500), "<html>").message).toBe("<html>");
    expect(problemOf(answer(503), null).message).toBe("HTTP 503");
  });

  it("finds the fields of a form, and the request's id", () => {
    const problem = problemOf(answer(422), {
      detail: [
        { loc: ["body", "limits", "rpm"], msg: "must be positive" },
        { loc: ["query", "page"], msg: "not a number" },
      ],
    });
    expect(problem.fields).toEqual({ "limits.rpm": "must be positive", page: "not a number" });
    expect(problem.message).toContain("limits.rpm: must be positive");
    expect(problem.requestId).toBe("r-1");
  });
});
