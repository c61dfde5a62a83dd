/**
 * Builds images from Dockerfiles: plan, graph, solver, cache, operations and outputs. It knows nothing of HTTP, nor of
 * containers other than its own steps.
 */
export { type BuilderOptions, createBuilder, type OwnedBuilder } from "./builder.ts";
export { BUILD_MIGRATIONS } from "./cache-schema.ts";
export type {
  BuildContext,
  BuildEvent,
  Builder,
  BuildOutput,
  BuildRequest,
  BuildResult,
  CacheRecord,
  MissReason,
  SourceRange,
  VertexState,
} from "./faces.ts";
export type { CachePrunePlan } from "./prune.ts";
