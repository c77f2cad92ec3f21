export * as EmbeddedServer from "./embedded/EmbeddedServer.ts"
export * as Postgres from "./Postgres.ts"
export { PostgresConfigError, type PostgresOptions } from "./PostgresConfig.ts"
