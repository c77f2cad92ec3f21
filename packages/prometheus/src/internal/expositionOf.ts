import { Exposition, quietly } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { negotiate } from "./negotiate.ts"
import type { Pages } from "./Pages.ts"
import { contentTypes } from "./text.ts"

/** Pages as the service that whoever serves them asks for. */
export const expositionOf = (pages: Pages): Exposition["Service"] =>
  Exposition.of({
    page: quietly(Effect.map(Stream.mkString(pages.page("text")), (body) => ({ contentType: contentTypes.text, body }))),
    render: (accept) =>
      Effect.sync(() => {
        const format = negotiate(accept)
        return { contentType: contentTypes[format], body: Stream.encodeText(pages.page(format)) }
      })
  })
