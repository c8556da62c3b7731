/** Places are counted per caller and in all, and come back. */
import { expect, test } from "bun:test";
import { createPlaces } from "./places.ts";

const caller = (id: string) => ({ id, tenant: "default", admin: false });

test("one caller cannot take all places, and a place that was left can be taken again", () => {
  const places = createPlaces({ all: 3, caller: 2 });
  const leave = new AbortController();
  const other = new AbortController().signal;
  places.take({ caller: caller("ann"), left: leave.signal });
  places.take({ caller: caller("ann"), left: other });
  expect(() => places.take({ caller: caller("ann"), left: other })).toThrow("This key has 2");
  places.take({ caller: caller("bob"), left: other });
  expect(() => places.take({ caller: caller("cy"), left: other })).toThrow("There are 3");
  leave.abort();
  places.take({ caller: caller("cy"), left: other });
  expect(() => places.take({ caller: caller("ann"), left: other })).toThrow("There are 3");
});
