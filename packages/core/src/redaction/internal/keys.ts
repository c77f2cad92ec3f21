/**
 * Which names announce a secret. A name is split into words at separators, dots and camel humps; it is sensitive when some of its words
 * are those of a secret and none of the words that follow say that it only speaks about one (`password_length`, `token.count`).
 */

/** Words, or runs of words, that name a secret. */
const secrets: ReadonlyArray<ReadonlyArray<string>> = (
  "password;passwd;passwords;passphrase;passcode;pwd;secret;secrets;token;credential;credentials;authorization;cookie;cookies;dsn;" +
  "jwt;bearer;otp;totp;pin;cvv;cvc;cvv2;cvc2;csc;ssn;iban;csrf;xsrf;mnemonic;apikey;apikeys;sid;" +
  "api key;api keys;access key;access keys;private key;private keys;secret key;secret keys;encryption key;signing key;auth key;" +
  "master key;shared key;account key;license key;host key;ssh key;deploy key;app key;application key;service key;access tokens;" +
  "refresh tokens;auth tokens;api tokens;connection string;connection url;database url;connect string;session id;session key;" +
  "card number;credit card;debit card;account number;routing number;tax id;social security;security code;seed phrase;recovery code;" +
  "recovery codes;backup codes;mfa code;sms code;auth code;access code;authorization code;verification code;one time code"
).split(";").map((name) => name.split(" "))

/** Short words that name a secret only at the end of a name: `db.pass`, `x-auth`. */
const lastWords: ReadonlySet<string> = new Set(["pass", "auth", "creds", "cred", "sessid", "hmac"])

/** Endings of words written together: `dbpassword`, `accesstoken`, `PHPSESSID`. */
const endings: ReadonlyArray<string> = (
  "password passwd passphrase secret apikey accesstoken authtoken refreshtoken idtoken sessiontoken csrftoken usertoken bearertoken apitoken " +
  "privatekey secretkey accesskey accesskeyid accountkey signingkey encryptionkey sessionid sessid connectionstring databaseurl " +
  "authorization credential credentials cardnumber creditcard securitycode"
).split(" ")

/** What a name says about a secret without being one. */
const about: ReadonlySet<string> = new Set((
  "count counts length len size type types kind ttl expiry expires expired expiration age at time date timestamp changed change reset " +
  "required valid invalid validity enabled disabled present exists missing policy strength usage used limit remaining total max min endpoint " +
  "index status state error errors version rotation rotated provider source consent banner name names label scope scopes issuer audience " +
  "algorithm alg attempts attempt failures hint manager store vault page form field input prompt flow method rule rules domain path samesite " +
  "result granted decision url uri budget rate cost latency duration bytes bucket ms seconds created updated format last4 brand bin issued strategy mode file stdin dir folder verified sent region country"
).split(" "))

/** What makes a token one of counting, reading or parsing: `next_page_token`, `unexpected token`. */
const harmlessTokens: ReadonlySet<string> = new Set((
  "page next previous continuation cancellation cancel sync cursor resume skip unexpected lexer parser syntax stop pad eos bos mask special per " +
  "first last"
).split(" "))

/** What makes a name a question about a secret: `has_password`, `is_token_valid`. */
const questions: ReadonlySet<string> = new Set(["is", "has", "needs", "requires", "missing", "invalid", "wrong", "no"])

/** Names that mean something else, whatever their words say. */
const exempt: ReadonlySet<string> = new Set(["session.id", "messaging.kafka.message.key"])

const words = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+/g

/** Longest name that is looked at as a whole; of longer ones the end counts. */
const maxLength = 256

/** Whether what stands under this name is a secret by its name. Case, separators and camel humps do not matter. */
export const isSecretName = (name: string): boolean => {
  if (exempt.has(name)) return false
  const text = name.length > maxLength ? name.slice(-maxLength) : name
  const parts = (text.match(words) ?? []).map((part) => part.toLowerCase())
  if (questions.has(parts[0] ?? "")) return false
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i]!
    if (about.has(part) && !secrets.some((secret) => secret.length > 1 && endsAt(parts, i, secret))) return false
    for (const secret of secrets) {
      if (endsAt(parts, i, secret)) return !(secret[0] === "token" && harmlessTokens.has(parts[i - 1] ?? ""))
    }
    if (i === parts.length - 1 && lastWords.has(part)) return true
    if (part.length > 5 && endings.some((ending) => part.endsWith(ending))) return true
  }
  // `APIKEY`, `api.key`, `Pass_Word`: the separators may stand in odd places.
  const joined = parts.join("")
  return parts.length > 1 && endings.some((ending) => joined.endsWith(ending))
}

const endsAt = (parts: ReadonlyArray<string>, last: number, secret: ReadonlyArray<string>): boolean => {
  const first = last - secret.length + 1
  if (first < 0) return false
  for (let k = 0; k < secret.length; k++) if (parts[first + k] !== secret[k]) return false
  return true
}

/** `API-Key`, `apiKey` and `api_key` as one: lower-case letters and digits. */
export const normalName = (name: string): string => name.slice(-maxLength).replace(/[^A-Za-z0-9]/g, "").toLowerCase()

/** Keys of the OpenTelemetry conventions whose values are whole or partial URLs. */
export const urlNames: ReadonlySet<string> = new Set(["url.full", "url.query", "url.original", "http.url", "http.target", "http.request.header.referer"])

/** Keys whose values are SQL text. */
export const sqlNames: ReadonlySet<string> = new Set(["db.query.text", "db.statement", "db.query", "sql", "sql.query", "sql.statement", "query.sql"])
