import { PgTypes } from "@effect/sql-pg"
import * as Result from "effect/Result"

/**
 * Array parameters from typed arrays, written into one buffer: half the client's CPU of the driver's element-wise codec.
 * PostgreSQL's binary array format: dimensions, null flag, element OID, then per dimension length and lower bound, then each
 * element with its length, all big-endian.
 */

const { OID } = PgTypes

export const float8s = (values: Float64Array | null): PgTypes.Parameter => parameter(OID.float8Array, values)
export const int8s = (values: BigInt64Array | null): PgTypes.Parameter => parameter(OID.int8Array, values)
/** The same from ids of 16 hex digits; what is none is 0. */
export const hexInt8s = (values: ReadonlyArray<string> | null): PgTypes.Parameter => parameter(OID.int8Array, values)
export const int4s = (values: Int32Array | null): PgTypes.Parameter => parameter(OID.int4Array, values)
export const int2s = (values: Int16Array | null): PgTypes.Parameter => parameter(OID.int2Array, values)
export const texts = (values: ReadonlyArray<string | null> | null): PgTypes.Parameter => parameter(OID.textArray, values)
/** 32 hex digits each, without dashes. */
export const uuids = (values: ReadonlyArray<string> | null): PgTypes.Parameter => parameter(OID.uuidArray, values)
/** A text parameter with its type, so that one statement keeps one plan. */
export const text = PgTypes.text
export const int4 = PgTypes.int4
export const float8 = PgTypes.float8
export const timestamptz = PgTypes.timestamptz
export const int8 = (value: number | bigint): PgTypes.Parameter => PgTypes.int8(BigInt(value))

const parameter = (oid: number, value: unknown): PgTypes.Parameter => ({
  [PgTypes.ParameterTypeId]: PgTypes.ParameterTypeId,
  oid,
  value
})

const headerBytes = 20

/** No dimension, no null. Most arrays of most frames are empty. */
const empties = new Map<number, Uint8Array>()
const emptyOf = (elementOid: number): Uint8Array => {
  let empty = empties.get(elementOid)
  if (empty === undefined) {
    const made = Buffer.alloc(12)
    made.writeInt32BE(elementOid, 8)
    empties.set(elementOid, empty = made)
  }
  return empty
}

const digitOf = new Int8Array(128).fill(-1)
for (const [value, digit] of [..."0123456789abcdef"].entries()) {
  digitOf[digit.charCodeAt(0)] = value
  digitOf[digit.toUpperCase().charCodeAt(0)] = value
}

/** The last digits of a hex number as so many bytes; 0 when it is longer or none. */
const writeHex = (view: Buffer, offset: number, hex: string, bytes: number): void => {
  let at = hex.length
  let bad = at > 2 * bytes || at === 0
  for (let i = offset + bytes - 1; i >= offset; i--) {
    const low = at > 0 ? digitOf[hex.charCodeAt(--at)] ?? -1 : 0
    const high = at > 0 ? digitOf[hex.charCodeAt(--at)] ?? -1 : 0
    bad ||= low < 0 || high < 0
    view[i] = (high << 4) | low
  }
  if (bad) view.fill(0, offset, offset + bytes)
}

/** From Node's pool where it is small: a backing store of its own for each array costs more than filling it. */
const encoded = (elementOid: number, width: number, length: number, put: (view: Buffer, offset: number, i: number) => void) => {
  if (length === 0) return emptyOf(elementOid)
  const view = Buffer.allocUnsafe(headerBytes + length * (4 + width))
  view.writeInt32BE(1, 0)
  view.writeInt32BE(0, 4)
  view.writeInt32BE(elementOid, 8)
  view.writeInt32BE(length, 12)
  view.writeInt32BE(1, 16)
  for (let i = 0, offset = headerBytes; i < length; i++, offset += 4 + width) {
    view.writeInt32BE(width, offset)
    put(view, offset + 4, i)
  }
  return view
}

const codec = <A extends { readonly length: number }>(
  arrayOid: number,
  elementOid: number,
  width: number,
  put: (values: A) => (view: Buffer, offset: number, i: number) => void
): PgTypes.Codec<A> => ({
  encode: (values) => Result.succeed(encoded(elementOid, width, values.length, put(values))),
  // Results are plain arrays, as the driver gives them.
  decode: (bytes) => PgTypes.decode(bytes, arrayOid, 1) as Result.Result<A, PgTypes.CodecError>
})

/** The driver's codecs with those of the typed arrays above. */
export const registry: PgTypes.Registry = PgTypes.makeRegistry()
registry.register(
  OID.float8Array,
  codec<Float64Array>(OID.float8Array, OID.float8, 8, (values) => (view, offset, i) => view.writeDoubleBE(values[i]!, offset))
)
registry.register(
  OID.int8Array,
  codec<BigInt64Array | ReadonlyArray<string>>(OID.int8Array, OID.int8, 8, (values) =>
    values instanceof BigInt64Array
      ? (view, offset, i) => view.writeBigInt64BE(values[i]!, offset)
      : (view, offset, i) => writeHex(view, offset, values[i]!, 8))
)
registry.register(
  OID.int4Array,
  codec<Int32Array>(OID.int4Array, OID.int4, 4, (values) => (view, offset, i) => view.writeInt32BE(values[i]!, offset))
)
registry.register(
  OID.int2Array,
  codec<Int16Array>(OID.int2Array, OID.int2, 2, (values) => (view, offset, i) => view.writeInt16BE(values[i]!, offset))
)
registry.register(
  OID.uuidArray,
  codec<ReadonlyArray<string>>(OID.uuidArray, OID.uuid, 16, (values) => (view, offset, i) => writeHex(view, offset, values[i]!, 16))
)
