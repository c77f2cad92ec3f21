/**
 * Reads what a PostgreSQL client says (protocol 3, message formats in the manual's chapter 54.7) far enough to know which SQL
 * it asks the server to run.
 */
export class ClientReader {
  private pending: Buffer = Buffer.alloc(0)
  private started = false
  private readonly statements = new Map<string, string>()
  private readonly portals = new Map<string, string>()

  /** The SQL text of every statement these bytes ask to run, whether sent in full or prepared before. */
  push(chunk: Buffer): ReadonlyArray<string> {
    this.pending = Buffer.concat([this.pending, chunk])
    const asked: Array<string> = []
    while (true) {
      const head = this.started ? 1 : 0
      if (this.pending.length < head + 4) return asked
      const end = head + this.pending.readInt32BE(head)
      if (this.pending.length < end) return asked
      const body = this.pending.subarray(head + 4, end)
      if (this.started) this.message(String.fromCharCode(this.pending[0]!), body, asked)
      // Requests for encryption and cancellation come in the same frame; only 3.x begins a session.
      else this.started = body.readInt16BE(0) === 3
      this.pending = this.pending.subarray(end)
    }
  }

  private message(type: string, body: Buffer, asked: Array<string>): void {
    const [first, second] = strings(body)
    if (type === "Q") asked.push(first)
    if (type === "P") this.statements.set(first, second)
    if (type === "B") this.portals.set(first, this.statements.get(second) ?? "")
    if (type === "E") asked.push(this.portals.get(first) ?? "")
  }
}

/** The first two zero-terminated strings. */
const strings = (body: Buffer): readonly [string, string] => {
  const end = Math.max(0, body.indexOf(0))
  const second = body.indexOf(0, end + 1)
  return [body.toString("utf8", 0, end), second < 0 ? "" : body.toString("utf8", end + 1, second)]
}

/** Watches for the end of an answer: ReadyForQuery, which is `Z`, the length 5 and one byte of state. */
export class AnswerEnd {
  private tail: Buffer = Buffer.alloc(0)

  /** Whether these bytes are the last of an answer. */
  push(chunk: Buffer): boolean {
    this.tail = Buffer.concat([this.tail, chunk]).subarray(-6)
    return this.tail.length === 6 && this.tail[0] === 0x5a && this.tail.readUInt32BE(1) === 5
  }
}
