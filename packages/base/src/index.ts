/** The words that all other packages use. It knows nothing of containers, images or the kernel. */
export { type AtomicFileOptions, fsyncDirectory, writeFileAtomic } from "./atomic-file.ts";
export { humanDuration, parseDuration } from "./duration.ts";
export {
  describeError,
  ERROR_CODES,
  type ErrorCode,
  type ErrorOptions,
  errnoOf,
  errorCode,
  errorMessage,
  isError,
  SlipwayError,
} from "./errors.ts";
export { EventBus } from "./event-bus.ts";
export { harmlessPattern } from "./harmless-pattern.ts";
export { randomId, shortId } from "./ids.ts";
export { JsonReader } from "./json-reader.ts";
export { KeyedLock, type Unlock } from "./keyed-lock.ts";
export {
  createLogger,
  LOG_LEVELS,
  type LogFields,
  type Logger,
  type LoggerOptions,
  type LogLevel,
  silentLogger,
} from "./logger.ts";
export { didYouMean, nearest } from "./nearest.ts";
export { Scope } from "./scope.ts";
export { Semaphore } from "./semaphore.ts";
export { SingleFlight } from "./single-flight.ts";
export { binarySize, humanSize, parseSize } from "./size.ts";
