/**
 * 32 bits of a key and value, as the index of searchable attributes holds them: FNV-1a over UTF-16 units with the mixing of
 * MurmurHash3, the same in every version, because stored rows hold it. Hashes collide: whoever finds a row looks at the
 * attribute itself.
 */
export const attributeHash = (key: string, value: string): number => {
  let hash = 0x811c9dc5
  const text = `${key}=${isNumber(value) ? String(Number(value)) : value}`
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) | 0
}

/** What `->>` gives of a JSON text: a string without its quotes, anything else as it stands. */
export const textOfJson = (json: string): string => (json.startsWith("\"") ? JSON.parse(json) as string : json)

/** Text that a number may be written as: `1.50` and `1.5` are the same one. */
export const isNumber = (text: string): boolean => /^-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?$/.test(text)
