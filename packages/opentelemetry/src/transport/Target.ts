import type * as Redacted from "effect/Redacted"
import type { SignalName } from "../encoding/envelope.ts"

export type Protocol = "http/protobuf" | "http/json" | "grpc"

/** Certificates as PEM text. */
export interface TlsOptions {
  /** Authorities to believe instead of the system's. */
  readonly ca?: string | ReadonlyArray<string> | undefined
  /** Who we are: a certificate and its key, both or neither. */
  readonly cert?: string | undefined
  readonly key?: Redacted.Redacted<string> | undefined
  /** The name the receiver's certificate must be for; by default the endpoint's host. */
  readonly serverName?: string | undefined
}

/** Where the requests of one signal go, decided and checked. */
export interface Target {
  readonly signal: SignalName
  readonly protocol: Protocol
  /** Without credentials. For gRPC only its origin counts. */
  readonly url: URL
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, Redacted.Redacted<string>>>
  readonly compression: "gzip" | "none"
  /** One attempt's deadline, milliseconds. */
  readonly timeout: number
  readonly tls: TlsOptions
}

/** A target for people: scheme, host and path, never a secret. */
export const labelOf = ({ protocol, url }: Target): string => protocol === "grpc" ? url.host : `${url.origin}${url.pathname}`

export const userAgent = (version: string): string => `effect-observability/${version}`
