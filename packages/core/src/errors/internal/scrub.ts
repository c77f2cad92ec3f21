import type { Values } from "../../tracing/internal/values.ts"
import { scrubLog } from "../../logs/internal/scrub.ts"
import type { ErrorData } from "../ErrorData.ts"

const maxType = 256
const maxStack = 16_384

/** An error from elsewhere, without secrets and within the limits. */
export const scrubError = (error: ErrorData, values: Values): ErrorData => {
  const message = (text: string): string => values.text(text, values.limits.attributeValueLength)
  const stack = (text: string | undefined): string | undefined => text === undefined ? undefined : values.text(text, maxStack)
  return {
    ...error,
    errorType: values.text(error.errorType, maxType),
    message: message(error.message),
    stack: stack(error.stack),
    causes: error.causes.map((cause) => ({
      type: values.text(cause.type, maxType),
      message: message(cause.message),
      stack: stack(cause.stack),
      parent: cause.parent
    })),
    spanNames: error.spanNames.map((name) => values.text(name, maxType)),
    attributes: new Map(Object.entries(values.record(Object.fromEntries(error.attributes), values.limits.attributeCount))),
    breadcrumbs: error.breadcrumbs.map((line) => scrubLog(line, values))
  }
}
