/** What looks like a secret and is none: name and value. All of them must come back untouched. */
const texts: ReadonlyArray<string> = [
  // Words about secrets
  "the password is required", "password: required", "Password must be at least 8 characters", "invalid token", "Unexpected token } in JSON at position 4",
  "token: expected ')' here", "token expired", "missing api key", "secret not found: db/main", "password: must contain a digit", "no password set",
  "please reset your password", "cookie consent given", "session expired", "key=value", "sort_key=created_at", "cache key orders:42", "primary_key=id",
  "partition_key: 7", "monkey=banana", "author=Ann", "authority: example.org", "passenger=2", "passing=true", "compass=north", "bypass=1",
  "Bearer authentication required", "Basic authentication failed", "bearer of bad news", "a basic example", "token bucket is full", "basic plan",
  "tokens=512", "max_tokens=1024", "token_count=17", "tokens used: 99", "next_page_token=abc", "password_length=12", "secretary=Bob", "tokenize=true",
  "password = ?", "password = $1", "where token = :token", "password=null", "password: undefined", "secret: <redacted>", "token=***", "apiKey={}",
  "if (token === undefined)", "token == null", "password != ''", "(token) => next(token)", "token :: String", "password=true",
  // Figures
  "4111111111111112", "1234567890123456", "1700000000123456789", "order 5555555555554445", "2024-11-24 23:15:59", "0.4111111111111111",
  "tel 0049 30 123456789", "+1 415 555 0132", "v4111111111111111", "41111111-1111-1111-1111-111111111111", "id 9999999999999995", "ISBN 978-3-16-148410-0",
  "3.14159265358979", "0000000000000000", "1111-2222-3333-4444", "build 20241124231559001", "4111 1111", "400000000000", "123-45-678", "10000000000000000000",
  "192.168.1.1", "10.0.0.1:5432", "::1", "fe80::1ff:fe23:4567:890a", "2001:db8::8a2e:370:7334", "255.255.255.255", "1.2.3.4", "version 1.2.3.4",
  // Ids
  "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "550e8400-e29b-41d4-a716-446655440000", "01HF7YAT00P6FKJ8F6MV6S4X3Z", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "da39a3ee5e6b4b0d3255bfef95601890afd80709", "commit 4e6657e", "etag W/\"33a64df551425fcc55e4d42a148795d9\"", "req_7f3a2b", "user-1042", "ORD-2024-000123",
  "arn:aws:s3:::bucket/key", "AKIA", "AKIAIOSFODNN", "ASIAN market report", "AIza", "ghp_short", "glpat-", "xoxb-", "sk_live_", "sk-learn", "sk-SK", "npm_config_cache",
  "SG.", "hf_home", "dapi", "eyJ", "eyJ.x", "eyJhbGciOiJIUzI1NiJ9", "hvs.", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
  "-----BEGIN PUBLIC KEY-----\nMFww\n-----END PUBLIC KEY-----", "-----", "--- BEGIN ---",
  // Codes of countries that are no IBAN
  "DE89", "DE89370400440532013001", "GB00 1234", "NO93 8601 1117 948", "FR", "US12 3456 7890", "EN60950", "RO2024", "IE11",
  // Addresses that are none
  "user@localhost", "@scope/package@1.2.3", "effect@4.1.0", "git@github.com:team/project.git", "icon@2x.png", "@decorator", "a @ b", "me@", "@me", "x@y", "react@next",
  "foo@bar.1", "kernel@5.10.0", "unit@dbus.service", "mention @ann please", "price 3@4.50", "logo@3x.webp",
  // URLs without anything secret
  "https://example.org/orders/42", "http://localhost:8080/health", "https://example.org/a?page=2&sort=name", "postgres://db:5432/shop", "file:///srv/app/main.ts:10:5",
  "https://example.org:8443/", "ws://[::1]:9000/x", "http://user-service/api", "redis://cache:6379/0", "s3://bucket/path", "https://example.org/#section-2", "mailto:",
  "https://example.org/users/@ann", "amqp://broker/vhost", "https://example.org/a:b", "urn:isbn:0451450523", "data:text/plain", "node:internal/process/task_queues:95:5",
  // Prose, code, paths
  "SELECT a plan from the list", "select count(*) from orders", "Update the set of rules", "select id from t where a = $1", "it's a trap", "rock 'n' roll", "O'Brien",
  "GET /orders/:id", "POST /login", "{\"a\":1,\"b\":[true,null]}", "{\"key\":\"value\"}", "{\"name\":\"Ann\",\"roles\":[\"admin\"]}", "a=b&c=d", "a=1; b=2", "x: y", "k:v",
  "/srv/app/secrets/README.md", "src/token.ts:12", "TokenExpiredError", "C:\\Users\\ann", "a-b_c.d~e", "100%", "50%3A50", "50%3D50", "--verbose --token-file /run/x", "--password-stdin",
  "déjà vu", "请求 完成", "🎉", "", " ", "\u0000", "a\tb", "line\nbreak", "=", ":", "@", "://", "==", "key:", "password", "Password:", "token=", "=x", ":x", "<b>bold</b>", "a|b|c",
  "TypeError: Cannot read properties of undefined (reading 'token')", "error TS2339: Property 'secret' does not exist", "at Object.password (/srv/a.js:1:2)",
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36", "text/html; charset=utf-8", "gzip, deflate, br",
  "max-age=3600, must-revalidate", "W/\"abc\"", "bytes 0-499/1234", "2024-11-24T23:15:59.123Z", "PT15M", "P1D", "1h30m", "99.95 %", "EUR 12,50", "#ff8800", "rgb(1, 2, 3)"
]

const named: ReadonlyArray<readonly [name: string, value: unknown]> = [
  ["token.count", 512], ["gen_ai.usage.input_tokens", 99], ["password.length", 12], ["passwordChangedAt", "2024-11-24"], ["secret_name", "db/main"], ["api_key.type", "live"],
  ["session.id", "s-42"], ["cache.key", "orders:42"], ["messaging.kafka.message.key", "42"], ["db.primary_key", "id"], ["author", "Ann"], ["keyboard.key", "Enter"],
  ["token_type", "Bearer"], ["password_required", true], ["hasPassword", true], ["cookie.domain", "example.org"], ["nextPageToken", "abc"], ["continuation_token", "abc"],
  ["auth.method", "oidc"], ["tokens", 3], ["tokenizer", "bpe"], ["pinned", 4], ["spinner", "dots"], ["monkey", "x"], ["passenger", "Ann"], ["bypass", "none"],
  ["db.query.text", "select * from orders where id = $1 and \"state\" = $2"], ["url.full", "https://example.org/orders/42"], ["url.path", "/orders/42"],
  ["http.route", "/users/:token"], ["client.address", "192.168.1.7"], ["number", 4111111111111112], ["big", 9007199254740991n], ["float", 4111111111111.5], ["negative", -4111111111111111],
  ["list", ["a", "b"]], ["user.id", "42"], ["error.type", "TokenExpired"], ["otel.scope.name", "secret-service"], ["author_name", "Ann"], ["secondary", "x"]
]

export const lookalikes: ReadonlyArray<readonly [name: string, value: unknown]> = [...texts.map((text) => ["note", text] as const), ...named]
