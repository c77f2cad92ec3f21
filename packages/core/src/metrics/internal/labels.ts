export type Labels = Readonly<Record<string, string>>

/** Labels may come from untyped code: whatever it is becomes a string, and nothing a getter does gets out. */
export const read = (labels: Labels | undefined, name: string): string | undefined => {
  if (labels === undefined || labels === null) return undefined
  try {
    if (!Object.hasOwn(labels, name)) return undefined
    const value: unknown = labels[name]
    return value === undefined || value === null ? undefined : typeof value === "string" ? value : String(value)
  } catch {
    return undefined
  }
}

export const has = (labels: Labels | undefined, name: string): boolean => {
  try {
    return labels !== undefined && labels !== null && Object.hasOwn(labels, name)
  } catch {
    return false
  }
}

export const countKeys = (labels: Labels | undefined): number => {
  let keys = 0
  try {
    for (const _ in labels) keys++
  } catch {
    // What cannot be listed cannot be counted.
  }
  return keys
}

export const namesOf = (labels: Labels | undefined): ReadonlyArray<string> => {
  try {
    return labels === undefined || labels === null ? [] : Object.keys(labels)
  } catch {
    return []
  }
}
