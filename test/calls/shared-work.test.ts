import { getEventListeners } from "node:events";
import { expect, it } from "vitest";
import { SharedWork } from "../../src/calls/shared-work.js";
import { AbortError } from "../../src/index.js";
import { gateOf } from "../support/gate.js";

/** Work that ends when its gate opens or its signal fires, and how often it has started and was ended early. */
function heldWork(): { work: SharedWork<number>; release: () => void; started: () => number; ended: () => number } {
  const gate = gateOf();
  const [starts, ends]: [AbortSignal[], AbortSignal[]] = [[], []];
  const work = new SharedWork<number>(async (signal) => {
    const place = starts.push(signal);
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        ends.push(signal);
        setTimeout(() => {
          reject(new Error("ended"));
        }, 20);
      });
    });
    await Promise.race([gate.promise, aborted]);
    return place;
  });
  return { work, release: gate.resolve, started: () => starts.length, ended: () => ends.length };
}

it("is done once for all calls that wait at the same time, and again for later ones", async () => {
  const { work, release, started } = heldWork();
  const both = [work.result(), work.result(new AbortController().signal)];
  release();
  expect(await Promise.all(both)).toEqual([1, 1]);
  expect(started()).toBe(1);
  expect(await work.result()).toBe(2);
});

it("continues for other calls when one leaves", async () => {
  const { work, release, ended } = heldWork();
  const controller = new AbortController();
  const [leaves, stays] = [work.result(controller.signal), work.result()];
  controller.abort();
  await expect(leaves).rejects.toBeInstanceOf(AbortError);
  expect(ended()).toBe(0);
  release();
  expect(await stays).toBe(1);
  expect(getEventListeners(controller.signal, "abort")).toEqual([]);
});

it("ends when the last call leaves, which waits for that; the next call starts it again", async () => {
  const { work, release, started, ended } = heldWork();
  const controllers = [new AbortController(), new AbortController()];
  const calls = controllers.map(({ signal }) => work.result(signal));
  const outcomes: string[] = [];
  const settled = calls.map((call) => call.catch(() => outcomes.push("left")));
  for (const controller of controllers) controller.abort();
  await new Promise(setImmediate);
  expect([ended(), outcomes]).toEqual([1, ["left"]]);
  const later = work.result();
  expect(started()).toBe(2);
  await Promise.all(settled);
  expect(outcomes).toEqual(["left", "left"]);
  release();
  expect(await later).toBe(2);
});

it("is not started by a call that was aborted before", async () => {
  const { work, started } = heldWork();
  await expect(work.result(AbortSignal.abort())).rejects.toBeInstanceOf(AbortError);
  expect(started()).toBe(0);
});

it("fails for all calls that wait, and is started again by the next", async () => {
  let starts = 0;
  const work = new SharedWork(async () => {
    starts += 1;
    await Promise.resolve();
    if (starts === 1) throw new Error("down");
    return starts;
  });
  const outcomes = await Promise.allSettled([work.result(), work.result()]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await work.result()).toBe(2);
});
