import { afterAll } from "bun:test";
import { registryStorageSuite, S3_ENVIRONMENT, S3Server } from "@slipway/testkit";
import { openRegistryStorage } from "./open.ts";

Object.assign(process.env, S3_ENVIRONMENT);
const server = await S3Server.start();
afterAll(async () => await server[Symbol.asyncDispose]());

registryStorageSuite("a bucket", () => openRegistryStorage(server.place("suite")));
