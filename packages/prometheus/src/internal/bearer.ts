import { createHash, timingSafeEqual } from "node:crypto"

/** Whether a header carries this token, in a time that does not tell how much of it was right. An empty token never matches. */
export const bearerMatches = (header: string | undefined, token: string): boolean => {
  if (token === "" || header === undefined) return false
  const [scheme = "", given = "", ...rest] = header.split(" ")
  const digest = (text: string) => createHash("sha256").update(text).digest()
  return timingSafeEqual(digest(given), digest(token)) && scheme.toLowerCase() === "bearer" && rest.length === 0
}
