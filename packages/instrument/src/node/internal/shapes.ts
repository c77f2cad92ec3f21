// What is used of `node:http` and `node:http2` (its compatibility classes), by structure: frameworks and versions of Node agree on it.

export interface NodeRequest {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly httpVersion?: string
  readonly socket?: {
    readonly remoteAddress?: string | undefined
    readonly encrypted?: unknown
    /** The server a connection came to. */
    readonly server?: { readonly listening?: boolean } | undefined
  } | undefined
}

export interface NodeResponse {
  statusCode: number
  readonly headersSent: boolean
  /** Whether `end` was called. */
  readonly writableEnded?: boolean
  /** Whether all was handed over. */
  readonly writableFinished?: boolean
  readonly setHeader: (name: string, value: string) => unknown
  readonly once: (event: "finish" | "close", listener: () => void) => unknown
  write: (...args: Array<any>) => any
  end: (...args: Array<any>) => any
}
