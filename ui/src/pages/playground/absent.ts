/** The server tells programs of a model that cannot be called, and where to look. People are told in the words of a page. */
import { Problem } from "$api/problem";

// A refusal of the backend itself has the same code, and words of its own, which stay.
const FOR_PROGRAMS = "`GET /v1/models`";

export function inWords(problem: Problem, words: () => string): Problem {
  if (problem.status !== 404 || !problem.message.includes(FOR_PROGRAMS)) return problem;
  return new Problem(problem.status, words(), problem.fields, problem.requestId, problem.body);
}
