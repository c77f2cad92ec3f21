/** A channel that says which messages found no queue. */
interface Returning {
  on(event: string, listener: (...args: Array<any>) => void): unknown
}

interface Ticket {
  readonly key: string
  /** The options to publish with: they carry the key. */
  readonly options: object
}

/**
 * Mandatory messages that wait for their confirmation. RabbitMQ returns one that found no queue before it confirms it, without saying which
 * publication it was: a header tells.
 */
export class Returns {
  private next = 0
  private readonly returned = new Map<string, string | undefined>()

  constructor(channel: Returning) {
    channel.on("return", (message: any) => {
      const key: unknown = message?.properties?.headers?.[header]
      if (typeof key === "string" && this.returned.has(key)) this.returned.set(key, String(message?.fields?.replyText ?? "returned"))
    })
  }

  expect(options: { readonly headers: object }): Ticket {
    const key = String(this.next++)
    this.returned.set(key, undefined)
    return { key, options: { ...options, headers: { ...options.headers, [header]: key } } }
  }

  /** Why the message came back; `undefined` when it did not. */
  settle({ key }: Ticket): string | undefined {
    const why = this.returned.get(key)
    this.returned.delete(key)
    return why
  }
}

const header = "x-publication"
const known = new WeakMap<object, Returns>()

/** Those of a channel; made once. */
export const returnsOf = (channel: Returning): Returns => {
  let returns = known.get(channel)
  if (returns === undefined) known.set(channel, returns = new Returns(channel))
  return returns
}
