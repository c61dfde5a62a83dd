/** What tests share: the base image, random trees, hostile archives, suites for interfaces. Nothing that ships imports it. */
export { BASE_IMAGE, baseImageArchive, baseRootTar } from "./base-image.ts";
