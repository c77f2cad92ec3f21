import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { type ClickHouseOptions, resolve } from "../src/ClickHouseConfig.ts"
import * as Store from "../src/internal/Store.ts"

/** A server with a certificate for 127.0.0.1 that vouches for itself, made by openssl. */
const server = Effect.acquireRelease(
  Effect.promise(async () => {
    const dir = Fs.mkdtempSync(Path.join(tmpdir(), "obs-clickhouse-tls-"))
    const [cert, key] = [Path.join(dir, "server.crt"), Path.join(dir, "server.key")]
    execFileSync("openssl", ["req", "-new", "-x509", "-days", "2", "-nodes", "-out", cert, "-keyout", key, "-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1"], { stdio: "pipe" })
    let asked = 0
    const https = createServer({ cert: Fs.readFileSync(cert), key: Fs.readFileSync(key) }, (request, response) => {
      asked++
      request.resume()
      response.end("not a database\n")
    })
    await new Promise<void>((ready) => https.listen(0, "127.0.0.1", () => ready()))
    return { dir, https, port: (https.address() as AddressInfo).port, ca: Fs.readFileSync(cert, "utf8"), asked: () => asked }
  }),
  ({ dir, https }) =>
    Effect.promise(() => {
      Fs.rmSync(dir, { recursive: true, force: true })
      https.closeAllConnections()
      return new Promise<void>((closed) => https.close(() => closed()))
    })
)

/** What a backend says of its server. */
const problem = (options: ClickHouseOptions) =>
  Effect.scoped(Effect.gen(function*() {
    const store = yield* Store.make(yield* Effect.orDie(resolve(options)), "test")
    for (let n = 0; n < 200 && store.state().problem === undefined; n++) yield* Effect.sleep("20 millis")
    return store.state().problem ?? ""
  }))

it.live("a certificate that nobody vouches for, or for another name, is refused before a byte of the password; a known one is taken", () =>
  Effect.gen(function*() {
    const { asked, ca, port } = yield* server
    const at = (host: string, scheme = "https") => Redacted.make(`${scheme}://user:canary@${host}:${port}/x`)
    assert.match(yield* problem({ connection: at("127.0.0.1") }), /self-signed/)
    assert.match(yield* problem({ connection: at("localhost"), tls: { ca } }), /altnames|ECONNREFUSED/)
    // In clear to a server that wants TLS: no answer that could be taken for one.
    assert.match(yield* problem({ connection: at("127.0.0.1", "http") }), /hang up|ECONNRESET|Parse Error/)
    assert.strictEqual(asked(), 0)
    assert.match(yield* problem({ connection: at("127.0.0.1"), tls: { ca } }), /not ClickHouse's/)
    assert.isAbove(asked(), 0)
  }))
