/** The mark of a request that is observed: another middleware on its way leaves it alone. */
const mark = Symbol.for("@effect-observability/instrument/observed")

/** Whether a request is observed already; `source` is the server's own object for it, the same for everybody. */
export const isCovered = (request: { readonly source: object }): boolean => mark in request.source

export const cover = (source: object): void => {
  ;(source as { [mark]?: true })[mark] = true
}
