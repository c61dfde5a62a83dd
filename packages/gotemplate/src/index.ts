/** Go's `text/template` with Docker's functions. It knows nothing of containers: `cli` brings the data. */
export { DOCKER_FUNCTIONS, HEADER_FUNCTIONS } from "./docker-functions.ts";
export { FunctionError, TemplateError } from "./errors.ts";
export type { FunctionMap, ParameterType, TemplateFunction } from "./functions.ts";
export { quote } from "./printf.ts";
export { Template, type TemplateOptions } from "./template.ts";
export { ELEMENT_ZERO, Float, GO_MARSHALER, GO_TYPE, type NilKind, TypedNil, type Value } from "./values.ts";
