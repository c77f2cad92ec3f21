export * as Sentry from "./Sentry.ts"
