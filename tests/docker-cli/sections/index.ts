import type { Section } from "../vocabulary.ts";
import { build } from "./build.ts";
import { changes, copy } from "./copy.ts";
import { attach, exec, logs } from "./exec.ts";
import { archives, images } from "./images.ts";
import { life, signals } from "./life.ts";
import { limits, namespaces, privileges } from "./limits.ts";
import { inspect, ps } from "./lists.ts";
import { networks, ports } from "./networking.ts";
import { healthChecks, restarts } from "./policies.ts";
import { run, users } from "./run.ts";
import { mounts, volumes } from "./storage.ts";
import { events, prune, system, usage } from "./system.ts";
import { errors } from "./usage-errors.ts";

/** In the order of the day: each begins on an empty engine. */
export const SECTIONS: readonly Section[] = [...[life, signals, run, users, limits, privileges, namespaces, exec, attach, logs], ...[copy, changes, inspect, ps, images, archives, build, volumes, mounts, ports, networks], ...[events, system, prune, usage, healthChecks, restarts, errors]];
