// A strict reader of MessagePack (msgpack/spec.md), written from the specification: repeated keys, texts that are no UTF-8, bytes after the end and
// everything unknown throw. Numbers of 64 bits are bigints, doubles numbers.

export type Value = string | number | bigint | boolean | null | ReadonlyArray<Value> | { readonly [key: string]: Value }

export const decode = (bytes: Uint8Array): Value => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  let at = 0
  const skip = (length: number): number => {
    const from = at
    if (from + length > bytes.length) throw new Error(`cut off at ${from}`)
    at += length
    return from
  }
  const text = (length: number): string => {
    const from = skip(length)
    return utf8.decode(bytes.subarray(from, from + length))
  }
  const list = (length: number): ReadonlyArray<Value> => Array.from({ length }, read)
  const map = (length: number): Value => {
    const out: Record<string, Value> = Object.create(null)
    for (let i = 0; i < length; i++) {
      const key = read()
      if (typeof key !== "string") throw new Error("a key that is no text")
      if (key in out) throw new Error(`the key ${key} twice`)
      out[key] = read()
    }
    return out
  }
  const read = (): Value => {
    const tag = view.getUint8(skip(1))
    if (tag <= 0x7f) return tag
    if (tag <= 0x8f) return map(tag & 15)
    if (tag <= 0x9f) return list(tag & 15)
    if (tag <= 0xbf) return text(tag & 31)
    switch (tag) {
      case 0xc0: return null
      case 0xc2: return false
      case 0xc3: return true
      case 0xca: return view.getFloat32(skip(4))
      case 0xcb: return view.getFloat64(skip(8))
      case 0xcc: return view.getUint8(skip(1))
      case 0xcd: return view.getUint16(skip(2))
      case 0xce: return view.getUint32(skip(4))
      case 0xcf: return view.getBigUint64(skip(8))
      case 0xd0: return view.getInt8(skip(1))
      case 0xd1: return view.getInt16(skip(2))
      case 0xd2: return view.getInt32(skip(4))
      case 0xd3: return view.getBigInt64(skip(8))
      case 0xd9: return text(view.getUint8(skip(1)))
      case 0xda: return text(view.getUint16(skip(2)))
      case 0xdb: return text(view.getUint32(skip(4)))
      case 0xdc: return list(view.getUint16(skip(2)))
      case 0xdd: return list(view.getUint32(skip(4)))
      case 0xde: return map(view.getUint16(skip(2)))
      case 0xdf: return map(view.getUint32(skip(4)))
      default: if (tag >= 0xe0) return tag - 256
    }
    throw new Error(`unknown tag ${tag.toString(16)} at ${at - 1}`)
  }
  const value = read()
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes after the end`)
  return value
}
