import { assert, describe, it } from "@effect/vitest"
import { ObservabilityConfig, Telemetry } from "@effect-observability/core"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Http2 from "node:http2"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { OpenTelemetry } from "../src/index.ts"
import type { OpenTelemetryOptions } from "../src/OpenTelemetryConfig.ts"
import { books } from "./support/books.ts"
import { collector } from "./support/collector.ts"

// Row H13 of the fault catalogue, with certificates that openssl makes.

const openssl = (...args: ReadonlyArray<string>): void => {
  try {
    execFileSync("openssl", args, { stdio: "pipe" })
  } catch (error) {
    throw new Error("openssl is needed for this test: install the Debian package openssl", { cause: error })
  }
}

/** An authority, certificates of it for this machine, for another name, out of date, for a client, and one that vouches for itself. */
const certificates = Effect.acquireRelease(
  Effect.sync(() => {
    const dir = Fs.mkdtempSync(Path.join(tmpdir(), "obs-otel-tls-"))
    const path = (name: string) => Path.join(dir, name)
    const read = (name: string) => Fs.readFileSync(path(name), "utf8")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority", "-keyout", path("ca.key"), "-out", path("ca.crt"))
    const issue = (name: string, alternative: string, ...when: ReadonlyArray<string>) => {
      openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", `/CN=${name}`, "-keyout", path(`${name}.key`), "-out", path(`${name}.csr`))
      Fs.writeFileSync(path(`${name}.ext`), `subjectAltName=${alternative}`)
      openssl("x509", "-req", "-in", path(`${name}.csr`), "-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-CAcreateserial", "-extfile", path(`${name}.ext`), "-out", path(`${name}.crt`), ...when)
      return { cert: read(`${name}.crt`), key: read(`${name}.key`) }
    }
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=self", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path("self.key"), "-out", path("self.crt"))
    return {
      dir,
      path,
      ca: read("ca.crt"),
      good: issue("good", "IP:127.0.0.1,DNS:localhost", "-days", "2"),
      other: issue("other", "DNS:elsewhere.example", "-days", "2"),
      client: issue("client", "DNS:client", "-days", "2"),
      self: { cert: read("self.crt"), key: read("self.key") }
    }
  }),
  ({ dir }) => Effect.sync(() => Fs.rmSync(dir, { recursive: true, force: true }))
)

/** Sends one span; how it went. */
const attempt = (layer: Layer.Layer<Layer.Success<typeof Telemetry.layer>, unknown>) =>
  Effect.gen(function*() {
    yield* Effect.withSpan(Effect.void, "s")
    const telemetry = yield* Telemetry
    yield* Effect.timeoutOption(telemetry.flush, 400)
    const { spans } = yield* books()
    return { exported: spans.exported, dropped: spans.dropped, reason: telemetry.reports()[0]!.reason ?? "" }
  }).pipe(Effect.provide(Layer.fresh(layer)), Effect.provide(ObservabilityConfig.layer({ shutdownTimeout: 0.2 })))

const to = (endpoint: string, options: OpenTelemetryOptions = {}) => attempt(OpenTelemetry.layer({ endpoint, metrics: false, logs: false, ...options }))

describe("TLS", () => {
  it.live("encrypted with who proves to be the receiver, and with nobody else", () =>
    Effect.gen(function*() {
      const { ca, client, good, other, path, self } = yield* certificates
      const right = yield* collector({ tls: good })
      assert.strictEqual((yield* to(right.url, { tls: { ca } })).exported, 1)
      const provider = ConfigProvider.fromEnvRecord({ OTEL_EXPORTER_OTLP_ENDPOINT: right.url, OTEL_EXPORTER_OTLP_CERTIFICATE: path("ca.crt"), OTEL_METRICS_EXPORTER: "none", OTEL_LOGS_EXPORTER: "none" })
      assert.strictEqual((yield* attempt(OpenTelemetry.layerConfig().pipe(Layer.provide(Layer.succeed(ConfigProvider.ConfigProvider, provider))))).exported, 1)

      const refused = (result: { readonly exported: number; readonly reason: string }, why: RegExp) => {
        assert.strictEqual(result.exported, 0)
        assert.match(result.reason, why)
      }
      refused(yield* to(right.url), /UNABLE_TO|SELF_SIGNED|self.signed/i)
      refused(yield* to((yield* collector({ tls: self })).url, { tls: { ca } }), /SELF_SIGNED|self.signed/i)
      const wrongName = yield* collector({ tls: other })
      refused(yield* to(wrongName.url, { tls: { ca } }), /ALTNAME|altnames/i)
      assert.strictEqual((yield* to(wrongName.url, { tls: { ca, serverName: "elsewhere.example" } })).exported, 1)
      refused(yield* to((yield* collector({ tls: { ...good, maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" } })).url, { tls: { ca } }), /SSL|TLS|EPROTO|ECONNRESET/i)
      // In clear to a port that speaks TLS, and the other way round.
      refused(yield* to(right.url.replace("https:", "http:")), /.+/)
      refused(yield* to((yield* collector()).url.replace("http:", "https:"), { tls: { ca } }), /.+/)

      const mutual = yield* collector({ tls: { ...good, ca, requestCert: true, rejectUnauthorized: true } })
      assert.strictEqual((yield* to(mutual.url, { tls: { ca, cert: client.cert, key: Redacted.make(client.key) } })).exported, 1)
      const anonymous = yield* to(mutual.url, { tls: { ca } })
      refused(anonymous, /.+/)
      for (const { reason } of [anonymous]) assert.notInclude(reason, "PRIVATE KEY")
    }).pipe(Effect.scoped), 60_000)

  it.live("gRPC over TLS", () =>
    Effect.gen(function*() {
      const { ca, good } = yield* certificates
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => new Promise<Http2.Http2SecureServer>((resolve) => {
          const server = Http2.createSecureServer({ ...good })
          server.on("sessionError", () => {})
          server.on("stream", (stream) => {
            stream.resume()
            stream.on("end", () => {
              stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true })
              stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }))
              stream.end(Buffer.alloc(5))
            })
          })
          server.listen(0, "127.0.0.1", () => resolve(server))
        })),
        (server) => Effect.sync(() => void server.close())
      )
      const endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`
      assert.strictEqual((yield* to(endpoint, { protocol: "grpc", tls: { ca } })).exported, 1)
      const refused = yield* to(endpoint, { protocol: "grpc" })
      assert.deepEqual([refused.exported, /UNABLE_TO|SELF_SIGNED|self.signed/i.test(refused.reason)], [0, true], refused.reason)
    }).pipe(Effect.scoped), 60_000)
})
