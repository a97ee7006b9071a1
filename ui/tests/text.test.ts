import { expect, test } from "vitest";
import { general } from "../src/text/en/general";
import { models } from "../src/text/en/models";
import { overview } from "../src/text/en/overview";

test("counts have the noun in its form, and are read in thousands", () => {
  expect([0, 1, 5000].map(models.bulk.models)).toEqual(["0 models", "1 model", "5,000 models"]);
  expect(models.deleting.some(1, 1200)).toBe("1 person and 1,200 groups can use it.");
  expect(general.ofTotal(4951, 5000, 12_345)).toBe("4,951–5,000 of 12,345");
  expect([overview.headline.bad(1, 1200), overview.headline.bad(2, 3)]).toEqual([
    "1 of 1,200 connections is down.",
    "2 of 3 connections are down.",
  ]);
});
