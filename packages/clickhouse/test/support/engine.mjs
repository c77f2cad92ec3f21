// The ClickHouse engine (chdb, in this process) behind as much of its HTTP interface as the official client speaks. Run as a child:
// node engine.mjs <directory> <port>. Prints the port it listens on. It is ended by its pid, kindly or not, and started again on the same directory.
import { createServer } from "node:http"
import { createRequire } from "node:module"
import { writeFileSync, rmSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync, zstdDecompressSync } from "node:zlib"

const [directory, port] = process.argv.slice(2)
const modules = process.env["OUTSIDE_MODULES"]
const { Session } = createRequire(`${modules}/node_modules/`)("chdb")
mkdirSync(directory, { recursive: true })
const session = new Session(join(directory, "data"))
const password = process.env["ENGINE_PASSWORD"] ?? ""

/** Answers that are lost after the statement was run. */
let lost = 0
let count = 0
const inserts = []

const literal = (text) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`
const notSettings = new Set(["query", "database", "query_id", "session_id", "role", "wait_end_of_query", "enable_http_compression", "default_format", "readonly"])

const statusOf = (code) =>
  code === 60 || code === 81 || code === 47 ? 404 : code === 516 ? 403 : [6, 27, 32, 33, 36, 43, 53, 62, 117, 164, 456, 457].includes(code) ? 400 : 500

const parts = (body, boundary) =>
  new Map(body.toString("utf8").split(`--${boundary}`).flatMap((part) => {
    const found = /name="([^"]*)"\r\n(?:[^\r\n]+\r\n)*\r\n([\s\S]*)\r\n$/.exec(part)
    return found === null ? [] : [[found[1], found[2]]]
  }))

const answer = (request, response, body) => {
  const url = new URL(request.url, "http://localhost")
  if (url.pathname === "/ping") return response.end("Ok.\n")
  if (url.pathname === "/lose") {
    lost = Number(url.searchParams.get("answers"))
    return response.end()
  }
  if (url.pathname === "/inserts") return response.end(JSON.stringify(inserts))
  const expected = `Basic ${Buffer.from(`default:${password}`).toString("base64")}`
  const fail = (status, code, text) => {
    response.writeHead(status, { "x-clickhouse-exception-code": String(code) })
    response.end(`Code: ${code}. DB::Exception: ${text}`)
  }
  if (request.headers.authorization !== expected) return fail(403, 516, "default: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)")
  const boundary = /boundary=(.*)$/.exec(request.headers["content-type"] ?? "")?.[1]
  const form = boundary === undefined ? new Map() : parts(body, boundary)
  const given = url.searchParams.get("query")
  let sql = form.get("query") ?? given ?? body.toString("utf8")
  let file
  try {
    if (given !== null && form.size === 0 && body.length > 0) {
      file = join(directory, `rows${process.pid}-${count++}`)
      writeFileSync(file, body)
      sql = sql.replace(/ FORMAT (\w+)\s*$/, (_, format) => ` FROM INFILE ${literal(file)} FORMAT ${format}`)
    }
    for (const [name, value] of [...url.searchParams, ...form]) {
      if (name.startsWith("param_")) session.query(`SET ${name} = ${literal(value)}`)
      else if (!notSettings.has(name)) session.query(`SET ${name} = ${literal(value)}`)
    }
    // Set for the session it could not be taken back.
    if (url.searchParams.has("readonly")) sql += ` SETTINGS readonly = ${literal(url.searchParams.get("readonly"))}`
    const text = session.query(sql)
    if (file !== undefined) inserts.push({ token: url.searchParams.get("insert_deduplication_token"), bytes: body.length, encoding: request.headers["content-encoding"] ?? "" })
    if (file !== undefined && lost > 0) {
      lost--
      return request.socket.destroy()
    }
    response.end(text)
  } catch (error) {
    const code = Number(/Code: (\d+)/.exec(error.message)?.[1] ?? 1001)
    fail(statusOf(code), code, error.message.replace(/^.*?DB::Exception: /s, ""))
  } finally {
    session.query("SET insert_deduplication_token = ''")
    session.query("SET max_execution_time = 0")
    if (file !== undefined) rmSync(file, { force: true })
  }
}

const server = createServer((request, response) => {
  const chunks = []
  request.on("data", (chunk) => chunks.push(chunk))
  request.on("end", () => {
    const raw = Buffer.concat(chunks)
    const encoding = request.headers["content-encoding"]
    answer(request, response, encoding === "zstd" ? zstdDecompressSync(raw) : encoding === "gzip" ? gunzipSync(raw) : raw)
  })
})
server.listen(Number(port), "127.0.0.1", () => console.log(`listening ${server.address().port}`))
process.on("SIGTERM", () => {
  server.closeAllConnections()
  server.close(() => {
    session.close()
    process.exit(0)
  })
})
