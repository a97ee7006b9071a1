import { describe, expect, it } from "vitest";
import { problemOf } from "../src/api/problem";

const answer = (status: number) => new Response(null, { status, headers: { "x-request-id": "r-1" } });

describe("what went wrong", () => {
  it("is read from every dialect's refusal", () => {
    expect(problemOf(answer(404), { detail: "No such model." }).message).toBe("No such model.");
    expect(problemOf(answer(429), { error: { message: "Slow down.", type: "rate_limit" } }).message).toBe("Slow down.");
    expect(problemOf(answer(502), { error: "Away." }).message).toBe("Away.");
    expect(problemOf(answer(503), null).message).toBe("HTTP 503");
  });

  it("takes plain words of a proxy, and none of its pages", () => {
    const told = (type: string) => new Response(null, { status: 502, headers: { "content-type": type } });
    expect(problemOf(told("text/plain"), "Bad gateway").message).toBe("Bad gateway");
    expect(problemOf(told("text/html"), "<html><h1>502</h1>").message).toContain("HTTP 502");
    expect(problemOf(told("text/html"), "<html><h1>502</h1>").message).not.toContain("<");
  });

  it("knows when it may be tried again", () => {
    const told = new Response(null, { status: 429, headers: { "retry-after": "7" } });
    expect(problemOf(told, {}).retryAt).toBeGreaterThan(Date.now() + 6_000);
    expect(problemOf(answer(429), {}).retryAt).toBeNull();
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
