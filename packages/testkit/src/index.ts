export * from "./expectations.ts"
export { TestLayer } from "./TestLayer.ts"
