export interface Span {
  readonly id: string
  readonly parent: string | undefined
  readonly name: string
  readonly service: string
  readonly kind: string
  readonly at: number
  readonly ms: number
  readonly failed: boolean
}

export interface Row {
  readonly span: Span
  readonly depth: number
  readonly children: number
}

const childrenOf = (spans: ReadonlyArray<Span>): { readonly roots: ReadonlyArray<Span>; readonly of: ReadonlyMap<string, ReadonlyArray<Span>> } => {
  const ids = new Set(spans.map(({ id }) => id))
  const of = new Map<string, Array<Span>>()
  const roots: Array<Span> = []
  for (const span of spans.toSorted((a, b) => a.at - b.at)) {
    if (span.parent === undefined || !ids.has(span.parent) || span.parent === span.id) roots.push(span)
    else if (of.get(span.parent)?.push(span) === undefined) of.set(span.parent, [span])
  }
  return { roots, of }
}

/** Spans as a tree in rows; what hangs in a circle, or has lost its parent, is a root. Closed spans hide what is below. */
export const rowsOf = (spans: ReadonlyArray<Span>, closed: ReadonlySet<string>): ReadonlyArray<Row> => {
  const { of, roots } = childrenOf(spans)
  const seen = new Set<Span>()
  const rows: Array<Row> = []
  const walk = (from: Span) => {
    const stack: Array<{ span: Span; depth: number; hidden: boolean }> = [{ span: from, depth: 0, hidden: false }]
    while (stack.length > 0) {
      const { depth, hidden, span } = stack.pop()!
      if (seen.has(span)) continue
      seen.add(span)
      const below = of.get(span.id) ?? []
      if (!hidden) rows.push({ span, depth, children: below.length })
      for (let i = below.length - 1; i >= 0; i--) stack.push({ span: below[i]!, depth: depth + 1, hidden: hidden || closed.has(span.id) })
    }
  }
  for (const root of roots) walk(root)
  for (const span of spans) if (!seen.has(span)) walk(span)
  return rows
}

/**
 * The spans that the end of the trace waited for: from the end of a span back, the child that ended last before, and so on
 * (Jaeger's critical path).
 */
export const criticalPath = (spans: ReadonlyArray<Span>): ReadonlySet<string> => {
  const { of, roots } = childrenOf(spans)
  const path = new Set<string>()
  const first = roots.reduce<Span | undefined>((longest, one) => longest === undefined || one.ms > longest.ms ? one : longest, undefined)
  if (first === undefined) return path
  const stack = [{ span: first, until: first.at + first.ms }]
  while (stack.length > 0) {
    const { span, until } = stack.pop()!
    if (path.has(span.id)) continue
    path.add(span.id)
    let end = until
    for (const child of (of.get(span.id) ?? []).toSorted((a, b) => b.at + b.ms - (a.at + a.ms))) {
      // What outlives its parent was not waited for.
      if (child.at + child.ms > end || child.at < span.at) continue
      stack.push({ span: child, until: child.at + child.ms })
      end = child.at
    }
  }
  return path
}
