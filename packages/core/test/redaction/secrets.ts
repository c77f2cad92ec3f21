/** One secret, planted as it occurs. `secret` is what must be found nowhere. */
export interface Planted {
  readonly what: string
  readonly name: string
  readonly value: unknown
  readonly secret: string
}

// Pieces are joined here, so that no file of this repository holds anything that looks like a key to anyone who scans it.
const join = (...parts: ReadonlyArray<string>): string => parts.join("")

const jwt = join("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", ".", "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4ifQ", ".", "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV")
const body = "9a7Qx2LmZp81RtVw5KcYd3Nf6HsJg0BuEoXi"
const pem = join("-----BEGIN ", "PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7canary\n-----END PRIVATE KEY-----")

/** 30 secrets and more; the tests plant all of them. */
export const planted: ReadonlyArray<Planted> = [
  // By name
  { what: "a password", name: "password", value: "canary-01-hunter", secret: "canary-01" },
  { what: "camel case", name: "userPassword", value: "canary-02-hunter", secret: "canary-02" },
  { what: "snake case in capitals", name: "DB_PASSWD", value: "canary-03-hunter", secret: "canary-03" },
  { what: "kebab case in a header", name: "http.request.header.x-api-key", value: "canary-04-hunter", secret: "canary-04" },
  { what: "a cookie", name: "http.request.header.cookie", value: ["sid=canary-05; theme=dark"], secret: "canary-05" },
  { what: "authorization", name: "Authorization", value: "Custom canary-06", secret: "canary-06" },
  { what: "a client secret", name: "oauth.clientSecret", value: "canary-07", secret: "canary-07" },
  { what: "a number by name", name: "card.cvv", value: 981073514296, secret: "981073514296" },
  { what: "an access token without humps", name: "accesstoken", value: "canary-08", secret: "canary-08" },
  { what: "a refresh token", name: "refresh_token", value: "canary-09", secret: "canary-09" },
  { what: "a private key's name", name: "private-key", value: "canary-10", secret: "canary-10" },
  { what: "a session id", name: "PHPSESSID", value: "canary-11", secret: "canary-11" },
  { what: "a connection string by name", name: "connectionString", value: "canary-12", secret: "canary-12" },
  { what: "nested", name: "request.body", value: { user: { name: "ann", credentials: { login: "canary-13" } } }, secret: "canary-13" },
  { what: "nested in a list", name: "items", value: [{ id: 1, api_key: "canary-14" }], secret: "canary-14" },
  { what: "JSON in a string", name: "payload", value: "{\"a\":1,\"token\":\"canary-15\",\"b\":2}", secret: "canary-15" },
  { what: "JSON in JSON in a string", name: "payload", value: JSON.stringify({ inner: JSON.stringify({ secret: "say \"canary-16\"" }) }), secret: "canary-16" },
  { what: "JSON that was cut off", name: "payload", value: "{\"password\":\"canary-17-is-lo", secret: "canary-17" },
  { what: "an object below a secret's name in JSON", name: "payload", value: "{\"credentials\":{\"a\":[\"canary-18\"]},\"b\":1}", secret: "canary-18" },
  // By value
  { what: "a bearer header in a message", name: "note", value: "sent Authorization: Bearer canary19x7Q", secret: "canary19x7Q" },
  { what: "a bearer token alone", name: "header", value: join("Bearer ", body), secret: body },
  { what: "basic credentials", name: "header", value: join("Basic ", "YW5uOmNhbmFyeS0yMA=="), secret: "YW5uOmNhbmFyeS0yMA" },
  { what: "a JSON Web Token", name: "note", value: `got ${jwt}, refused`, secret: "eyJzdWIiOiIxMjM0NTY3ODkwIi" },
  { what: "a private key", name: "note", value: `key:\n${pem}\n`, secret: "BAQC7canary" },
  { what: "a cloud access key", name: "note", value: join("AK", "IAIOSFODNN7EXAMPLE is denied"), secret: "IOSFODNN7EXAMPLE" },
  { what: "a cloud secret in an assignment", name: "note", value: join("aws_secret_access", "_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), secret: "wJalrXUtnFEMI" },
  { what: "a Google key", name: "note", value: join("AI", "za", body.slice(0, 35)), secret: body.slice(0, 35) },
  { what: "a forge's token", name: "note", value: join("gh", "p_", body), secret: body },
  { what: "a payment service's key", name: "note", value: join("sk_", "live_", body), secret: body },
  { what: "a chat service's token", name: "note", value: join("xo", "xb-12345678901-", body), secret: body },
  { what: "a card number", name: "note", value: "paid with 4111 1111 1111 1111 today", secret: "4111 1111" },
  { what: "a card number before a date", name: "note", value: "4111 1111 1111 1111 1225 Ann", secret: "4111 1111" },
  { what: "an escaped e-mail address", name: "note", value: "https://example.org/u/canary.ann%40example.org/x", secret: "canary.ann" },
  { what: "an element of XML", name: "note", value: "<login><user>ann</user><wsse:Password Type=\"text\">canary-44</wsse:Password></login>", secret: "canary-44" },
  { what: "a hash of Ruby", name: "note", value: "{:user=>\"ann\", :password=>\"canary-45\"}", secret: "canary-45" },
  { what: "a named argument of SQL", name: "note", value: "call login(p_user := 'ann', p_password := 'canary-46')", secret: "canary-46" },
  { what: "a secret that poses as replaced", name: "note", value: "password=REDACTEDcanary-43", secret: "canary-43" },
  { what: "a card of 15 figures", name: "note", value: "3782-822463-10005", secret: "822463" },
  { what: "a card number as a number", name: "value", value: 5555555555554444, secret: "5555555555554444" },
  { what: "an IBAN", name: "note", value: "to DE89 3704 0044 0532 0130 00", secret: "3704 0044" },
  { what: "an e-mail address", name: "note", value: "mail canary.twenty@example.org bounced", secret: "canary.twenty" },
  { what: "a URL's user and password", name: "note", value: "GET https://ann:canary-21@example.org/x failed", secret: "canary-21" },
  { what: "a DSN", name: "note", value: "dsn is https://canary22abcdef@o1.ingest.example.org/42", secret: "canary22abcdef" },
  { what: "a database URL", name: "target", value: "postgres://app:canary-23@db:5432/shop?sslmode=require", secret: "canary-23" },
  { what: "a database URL with signs not escaped", name: "target", value: "postgres://app:can/ary#24?@db:5432/shop", secret: "ary#24" },
  { what: "a connection string", name: "target", value: "Server=db;Database=shop;User Id=app;Password=canary 25 x;Encrypt=true", secret: "canary 25" },
  { what: "a connection string in libpq's form", name: "target", value: "host=db user=app password='canary 26' dbname=shop", secret: "canary 26" },
  { what: "a query value of a secret name", name: "note", value: "GET https://example.org/x?page=2&access_token=canary-27#top", secret: "canary-27" },
  { what: "any query value of a URL attribute", name: "url.full", value: "https://example.org/x?q=canary-28", secret: "canary-28" },
  { what: "a query", name: "url.query", value: "q=canary-29&x", secret: "canary-29" },
  { what: "an SQL literal", name: "db.query.text", value: "select * from users where name = 'canary-30' and age > 42", secret: "canary-30" },
  { what: "an SQL literal with a doubled quote", name: "db.query.text", value: "insert into t values ('it''s canary-31', E'a\\'canary-31')", secret: "canary-31" },
  { what: "a dollar quote", name: "db.query.text", value: "select $tag$canary-32$tag$, $1", secret: "canary-32" },
  { what: "SQL under another name", name: "query", value: "UPDATE users SET email = 'canary-33' WHERE id = $1", secret: "canary-33" },
  { what: "a role's password", name: "note", value: "ALTER ROLE app WITH PASSWORD 'canary-34'", secret: "canary-34" },
  { what: "a flag of a command", name: "process.command_line", value: "mysql --user app --password canary-35 shop", secret: "canary-35" },
  { what: "a flag in a list", name: "process.command_args", value: ["mysql", "--password", "canary-36"], secret: "canary-36" },
  { what: "a URL in a query, escaped", name: "note", value: "redirect=https%3A%2F%2Fexample.org%2F%3Fa%3D1%26token%3Dcanary-37%26b%3D2", secret: "canary-37" },
  { what: "a webhook", name: "note", value: "POST https://hooks.slack.com/services/T01/B02/canary38", secret: "canary38" },
  { what: "a password in prose", name: "note", value: "login failed, password: canary39", secret: "canary39" },
  { what: "a secret on the edge of the limit", name: "note", value: `${"x".repeat(4080)} ${jwt}`, secret: "eyJhbGci" },
  { what: "an Error as a value", name: "cause", value: new Error("connect to redis://:canary-40@cache:6379"), secret: "canary-40" },
  { what: "a Map", name: "map", value: new Map([["token", "canary-41"]]), secret: "canary-41" },
  { what: "a storage key", name: "note", value: "AccountName=a;AccountKey=canary42/abc+d==;EndpointSuffix=x", secret: "canary42" }
]
