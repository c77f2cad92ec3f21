import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { withoutLiterals } from "../../src/redaction/internal/sql.ts"
import * as Redaction from "../../src/redaction/Redaction.ts"
import { lookalikes } from "./lookalikes.ts"
import { planted } from "./secrets.ts"

const redaction = Redaction.make()
const show = (value: unknown): string => JSON.stringify(value, (_, one) => typeof one === "bigint" ? `${one}` : one) ?? "undefined"

describe("secrets", () => {
  it("are more than 30", () => assert.isAtLeast(planted.length, 30))

  for (const { name, secret, value, what } of planted) {
    it(`do not stay: ${what}`, () => assert.notInclude(show(redaction.value(name, value)), secret))

    it(`do not stay in the middle of other text: ${what}`, () => {
      // Under no name of its own the value must give itself away; then what surrounds it must not hide it.
      if (typeof value !== "string" || redaction.text(value).includes(secret)) return
      for (const [before, after] of [["failed: ", " (retry)"], ["\n", "\n"], ["请求 ", " 完成"], ["[", "]"]]) {
        assert.notInclude(redaction.text(`${before}${value}${after}`), secret)
      }
    })
  }

  it("leave what stands around them", () => {
    const kept = (text: string) => redaction.text(text)
    assert.strictEqual(kept("GET https://ann:pw@example.org/x failed"), "GET https://REDACTED:REDACTED@example.org/x failed")
    assert.strictEqual(kept("https://example.org/x?page=2&access_token=abc#top"), "https://example.org/x?page=2&access_token=REDACTED#top")
    assert.strictEqual(kept("{\"a\":1,\"token\":\"x\",\"b\":2}"), "{\"a\":1,\"token\":\"REDACTED\",\"b\":2}")
    assert.strictEqual(kept("Server=db;Password=a b;Encrypt=true"), "Server=db;Password=REDACTED;Encrypt=true")
    assert.strictEqual(kept("paid with 4111-1111-1111-1111 today"), "paid with REDACTED today")
    assert.strictEqual(redaction.value("url.full", "https://example.org/x?q=a&b"), "https://example.org/x?q=REDACTED&REDACTED")
    assert.strictEqual(
      redaction.value("db.query.text", "select t1.a from t1 where b = 'x' and c in (1, 2.5) -- note\nlimit $1"),
      "select t1.a from t1 where b = ? and c in (?, ?) \nlimit $1"
    )
  })

  it("of SQL that dialects read differently are left out to the end", () => {
    assert.strictEqual(withoutLiterals("where a = 'C:\\' and b = 'secret'"), "where a = ?")
    assert.strictEqual(withoutLiterals("where \"a\" = \"secret\" and \"t\".\"b\" = \"t\".\"c\""), "where \"a\" = ? and \"t\".\"b\" = \"t\".\"c\"")
    assert.strictEqual(withoutLiterals("values (\"secret\", 'x')"), "values (?, ?)")
  })
})

describe("look-alikes", () => {
  it("are at least 200", () => assert.isAtLeast(lookalikes.length, 200))

  it("stay as they are", () => {
    const touched = lookalikes.flatMap(([name, value]) => {
      const kept = redaction.value(name, value)
      return show(kept) === show(value) ? [] : [`${name}: ${show(value)} became ${show(kept)}`]
    })
    assert.deepStrictEqual(touched, [])
  })

  it("stay when addresses are looked for, unless they are addresses", () => {
    const strict = Redaction.make({ addresses: true })
    const touched = lookalikes.filter(([, value]) => typeof value === "string" && strict.text(value) !== value).map(([, value]) => value)
    assert.deepStrictEqual(touched, [
      "192.168.1.1", "10.0.0.1:5432", "::1", "fe80::1ff:fe23:4567:890a", "2001:db8::8a2e:370:7334", "255.255.255.255", "1.2.3.4", "version 1.2.3.4",
      "ws://[::1]:9000/x",
      // A version with four numbers cannot be told from an address.
      lookalikes.map(([, value]) => value).find((value) => String(value).startsWith("Mozilla")),
      "192.168.1.7"
    ])
  })
})

describe("settings", () => {
  it("add names and take names away, whatever their case and separators", () => {
    const own = Redaction.make({ names: ["tax-file-ref"], allow: ["session_id"] })
    assert.strictEqual(own.value("app.taxFileRef", "x"), "REDACTED")
    assert.strictEqual(own.value("sessionId", "s1"), "s1")
    assert.strictEqual(own.value("sessionId", "mail ann@example.org"), "mail REDACTED")
    assert.strictEqual(own.value("body", { tax_file_ref: "x" }), "{\"tax_file_ref\":\"REDACTED\"}")
  })

  it("switch e-mail off and everything off", () => {
    assert.strictEqual(Redaction.make({ emails: false }).text("ann@example.org"), "ann@example.org")
    assert.strictEqual(Redaction.make({ enabled: false }).value("password", "x"), "x")
  })

  it("have rules of the program's own, which hide what they cannot judge", () => {
    const own = Redaction.make({
      rules: [(name) => name === "shape", (_, value) => {
        if (value === "boom") throw new Error("no")
        return false
      }]
    })
    assert.strictEqual(own.value("shape", { a: 1 }), "REDACTED")
    assert.strictEqual(own.value("note", "boom"), "REDACTED")
    assert.deepStrictEqual(own.value("note", ["a", "boom"]), ["a", "REDACTED"])
    assert.strictEqual(own.value("note", { deep: "boom", ok: 1 }), "{\"deep\":\"REDACTED\",\"ok\":1}")
  })
})

describe("any text", () => {
  const fragments = [
    "eyJ", "eyJhbGciOiJIUzI1NiJ9.", "-----BEGIN ", "PRIVATE KEY-----", "-----END ", "Bearer ", "Basic ", "AKIA", "sk-", "ghp_", "xoxb-", "SG.", "4111", "1111 ", "4111-", "DE89", "GB82 WEST ",
    "@", "a@b", "a.b@c.d", "://", "https://", "a:b@", ":", "=", "?", "&", "%3D", "%26", "password", "password=", "\"token\":\"", "\\\"", "\\\\\\\"", "\"", "'", "{", "[", "}", "]", ";", ",", "\n", " ",
    "--", "--password ", "<", ">", "<password>", "=>", ":=", "%40", "a%40b.c", "password '", "identified by '", "/*", "*/", "$a$", "$$", "select ", " from ", "::", "1.2.3.4", "fe80:", ".", "-", "_", "x", "请", "\u0000", "\ud800"
  ]

  it("comes back in linear time, whatever it repeats", () => {
    const length = 60_000
    const strict = Redaction.make({ addresses: true })
    const time = (text: string): number => {
      const began = performance.now()
      strict.text(text)
      withoutLiterals(text)
      return performance.now() - began
    }
    const slow: Array<string> = []
    const units = fragments.flatMap((one) => [one, `${one}a`, ...["eyJ", "@"].map((other) => one + other)])
    for (const unit of units) {
      const text = unit.repeat(Math.ceil(length / unit.length))
      // The promise is 1 ms per kB. Quadratic time takes seconds here, linear a few milliseconds; a busy machine may have another try.
      const most = 5 * length / 1000
      if (time(text) > most && time(text) > most) slow.push(unit)
    }
    assert.deepStrictEqual(slow, [])
  })

  it("never makes it throw", () => {
    fc.assert(fc.property(fc.array(fc.oneof(fc.constantFrom(...fragments), fc.string({ unit: "binary" })), { maxLength: 12 }), (parts) => {
      const text = parts.join("")
      assert.isString(redaction.text(text))
      redaction.value("db.query.text", text)
      redaction.value("url.full", text)
    }), { numRuns: 2000 })
  })

  it("cannot hide a secret, wherever it stands", () => {
    const secrets = planted.filter(({ name, secret, value }) => name === "note" && typeof value === "string" && value.length < 400 && !redaction.text(value).includes(secret))
    fc.assert(fc.property(fc.constantFrom(...secrets), fc.string(), fc.string(), ({ secret, value }, before, after) => {
      // Not even among quotes and brackets that never close.
      assert.notInclude(redaction.text(`${before} ${String(value)} ${after}`), secret)
    }), { numRuns: 2000 })
  })
})

describe("names", () => {
  const words = (text: string) => text.split(" ")

  it("of secrets are known in any spelling", () => {
    const names = words(
      "password Password PASSWORD user.password new_password passwordConfirmation pwd passwd db_pass smtp.pass passphrase secret client_secret clientSecret AWS_SECRET_ACCESS_KEY " +
        "accessToken access-token refresh_token id_token token x-auth-token X-Api-Key apikey api.key APIKEY api_keys private_key privateKeyPem ssh_key Authorization " +
        "proxy-authorization Cookie set-cookie session_id sessionId connect.sid JSESSIONID csrf_token credentials credential.value dsn sentry.dsn connection_string DATABASE_URL " +
        "card_number cardNumber credit_card cvv cvc pin ssn socialSecurityNumber tax_id iban accountNumber otp mfa_code encryption_key signing_key dd-api-key x-sentry-auth " +
        "bearer_token jwt password_hash stripeSecretKey secretKeyBase master_key GH_TOKEN NPM_TOKEN recovery_codes seed_phrase x-amz-security-token x-goog-api-key keyfile_password"
    )
    assert.deepStrictEqual(names.filter((name) => !redaction.isSecret(name)), [])
  })

  it("that only speak about secrets are left alone", () => {
    const names = words(
      "token_expires_in tokenExpiresIn public_key publicKey api_version keyspace db.password_policy session_duration cookie_banner authorized authenticated auth_provider " +
        "author_id credit pinterest spinach card_type cardinality tokenized http.request.header.content-type x-request-id account_id sidecar sideEffects ssn_verified otp_sent " +
        "pin_count password_reset token_bucket_size secret_manager_name keyboard hotkey foreign_key primary-key sort_key idempotency_key cache_key routing.key key keys passed " +
        "pass_rate bypass compass session signature_valid tokens.total prompt_tokens completionTokens jwt.expired jwt.alg has_secret is_password_set access_level connection_count"
    )
    assert.deepStrictEqual(names.filter((name) => redaction.isSecret(name)), [])
  })
})
