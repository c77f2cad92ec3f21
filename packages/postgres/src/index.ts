export * as EmbeddedServer from "./embedded/EmbeddedServer.ts"
export * as Inspection from "./Inspection.ts"
export * as Postgres from "./Postgres.ts"
export { PostgresConfigError, type PostgresOptions, type RetentionOptions, type TlsOptions } from "./PostgresConfig.ts"
