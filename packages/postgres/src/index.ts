export * as Postgres from "./Postgres.ts"
export { PostgresConfigError, type PostgresOptions } from "./PostgresConfig.ts"
