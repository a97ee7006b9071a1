import { describe, expect, it } from "vitest";
import { problemOf } from "../src/api/problem";

const answer = (status: number, kind = "application/json") =>
  new Response(null, { status, headers: { "x-request-id": "r-1", "content-type": kind } });
const told = (status: number, body: unknown) => problemOf(answer(status), JSON.stringify(body));

describe("what went wrong", () => {
  it("is read from every dialect's refusal", () => {
    expect(told(404, { detail: "No such model." }).message).toBe("No such model.");
    expect(told(429, { error: { message: "Slow down.", type: "rate_limit" } }).message).toBe("Slow down.");
    expect(told(502, { error: "Away." }).message).toBe("Away.");
    expect(problemOf(answer(403, "text/plain; charset=utf-8"), "Unknown host.").message).toBe("Unknown host.");
  });

  it("is said in words of ours when what stands between answers with a page of its own", () => {
    const problem = problemOf(answer(502, "text/html"), "<html><h1>502 Bad Gateway</h1></html>");
    expect(problem.message).toContain("HTTP 502");
    expect(problem.message).not.toContain("<");
    expect(problemOf(answer(413, "text/html"), "<html>").message).toContain("larger");
    expect(problemOf(answer(500, "text/plain"), "x".repeat(5000)).message).toContain("HTTP 500");
    expect(told(503, null).message).toContain("HTTP 503");
  });

  it("knows when it may be tried again", () => {
    const limited = new Response(null, { status: 429, headers: { "retry-after": "7" } });
    expect(problemOf(limited, "{}").retryAt).toBeGreaterThan(Date.now() + 6_000);
    expect(told(429, {}).retryAt).toBeNull();
  });

  it("finds the fields of a form, and the request's id", () => {
    const problem = told(422, {
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
