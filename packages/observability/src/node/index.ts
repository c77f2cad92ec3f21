export * from "./signals.ts"
