import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from "node:http"

export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Stands in for a Pushgateway: keeps every request and answers as told. */
export class Gateway {
  readonly received: Array<Received> = []
  /** How the next requests are answered; 200 when there is no more. */
  readonly answers: Array<(request: IncomingMessage, response: ServerResponse) => void> = []
  private readonly server: Server

  private constructor(server: Server) {
    this.server = server
  }

  static start(): Promise<Gateway> {
    const server = createServer((request, response) => {
      let body = ""
      request.setEncoding("utf8").on("data", (chunk: string) => body += chunk).on("end", () => {
        gateway.received.push({ method: request.method!, url: request.url!, headers: request.headers, body })
        const answer = gateway.answers.shift()
        if (answer === undefined) response.end()
        else answer(request, response)
      })
    })
    const gateway = new Gateway(server)
    return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(gateway)))
  }

  get port(): number {
    return (this.server.address() as { readonly port: number }).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get methods(): ReadonlyArray<string> {
    return this.received.map(({ method }) => method)
  }

  answer(status: number, text = "", headers: Record<string, string> = {}): void {
    this.answers.push((_, response) => response.writeHead(status, headers).end(text))
  }

  close(): Promise<void> {
    this.server.closeAllConnections()
    return new Promise((resolve) => this.server.close(() => resolve()))
  }
}
