/** One field of a message: its number, and its value as a number, as bytes, or as eight bytes that nobody here needs. */
export interface Field {
  readonly number: number
  readonly integer: number
  readonly bytes: Uint8Array
}

/** Nobody's answer has more. */
const maxFields = 1_000

/**
 * The fields of a protobuf message from a stranger, as far as they can be read: what is cut short or malformed ends the list. Integers of more
 * than 53 bits are rounded.
 */
export const fieldsOf = (message: Uint8Array): ReadonlyArray<Field> => {
  const out: Array<Field> = []
  let at = 0
  const varint = (): number => {
    let value = 0
    let scale = 1
    for (let i = 0; i < 10; i++) {
      const byte = message[at++]
      if (byte === undefined) return NaN
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
    return NaN
  }
  while (at < message.length && out.length < maxFields) {
    const tag = varint()
    const number = Math.floor(tag / 8)
    let integer = 0
    let bytes: Uint8Array = none
    switch (tag % 8) {
      case 0:
        integer = varint()
        break
      case 1:
        at += 8
        break
      case 2: {
        const length = varint()
        if (!(length <= message.length - at)) return out
        bytes = message.subarray(at, at + length)
        at += length
        break
      }
      case 5:
        at += 4
        break
      default:
        return out
    }
    if (!(at <= message.length) || integer !== integer) return out
    out.push({ number, integer, bytes })
  }
  return out
}

export const fieldOf = (message: Uint8Array, number: number): Field | undefined => fieldsOf(message).findLast((field) => field.number === number)

export const textOf = (field: Field | undefined): string => field === undefined ? "" : decoder.decode(field.bytes)

const none = new Uint8Array(0)
const decoder = new TextDecoder()
