import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const openssl = (...args: ReadonlyArray<string>): void => {
  try {
    execFileSync("openssl", args, { stdio: "pipe" })
  } catch (error) {
    throw new Error("openssl is needed for this test: install the Debian package openssl", { cause: error })
  }
}

const main = resolve(import.meta.dirname, "../../src/cli/main.ts")

const doctor = (url: string, env: Readonly<Record<string, string>>) =>
  Effect.promise(() =>
    new Promise<{ readonly code: number | null; readonly err: string }>((done) => {
      const child = spawn(process.execPath, ["--conditions=source", main, "doctor", "--url", url], { env: { PATH: process.env["PATH"], NO_COLOR: "1", OBSERVABILITY_TOKEN: "tok-canary-1", ...env } })
      let err = ""
      child.stderr.on("data", (bytes) => err += bytes)
      child.on("close", (code) => done({ code, err }))
    })
  )

it.live("doctor: a certificate that is not trusted, or of another host, is named as such, and gets no token", () =>
  Effect.scoped(Effect.gen(function*() {
    const dir = mkdtempSync(join(tmpdir(), "obs-doctor-tls-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(dir, { recursive: true, force: true })))
    const serve = (name: string, alternative: string) =>
      Effect.gen(function*() {
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=${name}`, "-addext", `subjectAltName=${alternative}`, "-keyout", join(dir, `${name}.key`), "-out", join(dir, `${name}.crt`))
        let asked = 0
        const server = createServer({ key: readFileSync(join(dir, `${name}.key`)), cert: readFileSync(join(dir, `${name}.crt`)) }, (_, response) => {
          asked++
          response.end("{}")
        })
        yield* Effect.promise(() => new Promise<void>((ready) => server.listen(0, "127.0.0.1", () => ready())))
        yield* Effect.addFinalizer(() => Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        }))
        return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/diagnostics`, asked: () => asked, ca: join(dir, `${name}.crt`) }
      })
    const self = yield* serve("self", "IP:127.0.0.1")
    const other = yield* serve("other", "DNS:elsewhere.example")
    for (const [url, env, says] of [
      [self.url, {}, "the certificate of the program is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)"],
      [other.url, { NODE_EXTRA_CA_CERTS: other.ca }, "the certificate of the program is not trusted (ERR_TLS_CERT_ALTNAME_INVALID)"],
      // Trusted: the next thing that is wrong.
      [self.url, { NODE_EXTRA_CA_CERTS: self.ca }, "no report of effect-observability"]
    ] as const) {
      const { code, err } = yield* doctor(url, env)
      assert.strictEqual(code, 2, err)
      assert.include(err, says)
      assert.notInclude(err, "canary")
    }
    assert.deepStrictEqual([self.asked(), other.asked()], [1, 0])
  })))
