/** What an adapter, a header or a getter says; `undefined` when it throws: a message must not be lost for what is told about it. */
export const known = <A>(ask: () => A): A | undefined => {
  try {
    return ask()
  } catch {
    return undefined
  }
}
