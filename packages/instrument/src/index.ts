export * as HttpClientInstrumentation from "./http/HttpClientInstrumentation.ts"
export * as HttpInstrumentation from "./http/HttpInstrumentation.ts"
export * as HttpServerMiddleware from "./http/HttpServerMiddleware.ts"
export { RequestId } from "./http/RequestId.ts"
