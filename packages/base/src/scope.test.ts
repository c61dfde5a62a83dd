import { expect, test } from "bun:test";
import { Scope } from "./scope.ts";

test("a scope releases in reverse order", async () => {
  const order: string[] = [];
  {
    await using scope = new Scope();
    scope.defer(() => void order.push("first made"));
    scope.defer(async () => void order.push("last made"));
  }
  expect(order).toEqual(["last made", "first made"]);
});

test("a disarmed scope releases nothing", async () => {
  let released = false;
  {
    await using scope = new Scope();
    scope.defer(() => void (released = true));
    scope.disarm();
  }
  expect(released).toBe(false);
});

test("a failing release does not keep the others from running, and is reported", async () => {
  let released = false;
  const scope = new Scope();
  scope.defer(() => void (released = true));
  scope.defer(() => {
    throw new Error("umount: busy");
  });
  expect(scope[Symbol.asyncDispose]()).rejects.toThrow("umount: busy");
  await Promise.resolve();
  await Promise.resolve();
  expect(released).toBe(true);
});

test("several failing releases are reported together", async () => {
  const scope = new Scope();
  for (const name of ["a", "b"]) scope.defer(() => Promise.reject(new Error(name)));
  expect(scope[Symbol.asyncDispose]()).rejects.toThrow("several clean-ups failed");
});
