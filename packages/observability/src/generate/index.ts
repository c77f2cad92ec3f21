export * as Generate from "./Generate.ts"
export { GenerateError, type GenerateOptions, type GeneratedFile } from "./Generate.ts"
