import { test } from "bun:test";
import { S3Server } from "@slipway/testkit";
import { pushWhileKilled } from "./testing/replicas.ts";

test("of two replicas over one bucket, killed in the middle of pushes, none loses an acknowledged push or shows half of one", async () => {
  await using bucket = await S3Server.start();
  await pushWhileKilled({ place: bucket.place("replicas"), replicas: 2, kills: 6 });
}, 180_000);
