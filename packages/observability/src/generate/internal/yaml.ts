import { wellFormed } from "./text.ts"

/** Values as YAML 1.2 in block style. Texts are quoted as in JSON, which YAML contains, so that none can be mistaken for something else. */
export const yaml = (value: unknown, header: string): string => `${header.split("\n").map((line) => `# ${line}\n`).join("")}${block(value, 0)}`

const block = (value: unknown, depth: number): string => {
  const indent = "  ".repeat(depth)
  if (Array.isArray(value)) {
    return value.map((one) => {
      const inner = block(one, depth + 1)
      return isBlock(one) ? `${indent}- ${inner.slice((depth + 1) * 2)}` : `${indent}- ${scalar(one)}\n`
    }).join("")
  }
  return Object.entries(value as Record<string, unknown>)
    .filter(([, one]) => one !== undefined)
    .map(([key, one]) => isBlock(one) ? `${indent}${key}:\n${block(one, depth + 1)}` : `${indent}${key}: ${scalar(one)}\n`)
    .join("")
}

const isBlock = (value: unknown): boolean => typeof value === "object" && value !== null && Object.keys(value).length > 0

const scalar = (value: unknown): string => {
  if (typeof value === "string") return /^[a-zA-Z][a-zA-Z0-9_]*$/.test(value) && !/^(y|n|yes|no|on|off|true|false|null)$/i.test(value) ? value : quotedText(value)
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "[]" : "{}"
  return String(value)
}

/** What YAML refuses in a text (5.1) or takes for the end of a line (5.4, version 1.1) is written as an escape. */
const quotedText = (text: string): string =>
  JSON.stringify(wellFormed(text)).replaceAll(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`)
