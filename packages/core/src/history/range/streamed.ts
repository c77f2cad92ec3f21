import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { HistoryError } from "../HistoryError.ts"
import { plan } from "./plan.ts"
import { rangeLimits, type RangePoint, type RangeQuery, type RangeResult } from "./RangeQuery.ts"

/** Times per question behind a stream. */
const page = 1_000

/** The points of a range query one time after the other, read in pages as they are consumed. */
export const streamed = (
  queryRange: (query: RangeQuery) => Effect.Effect<RangeResult, HistoryError>
) =>
(query: RangeQuery): Stream.Stream<RangePoint, HistoryError> =>
  Stream.unwrap(Effect.map(plan(query, rangeLimits.streamedPoints), ({ points, start, step }) =>
    Stream.paginate(0, (from: number) => {
      const next = from + page
      const last = Math.min(next, points) - 1
      return Effect.map(
        queryRange({ ...query, start: start + from * step, end: start + last * step }),
        (result) => [pointsOf(result), next < points ? Option.some(next) : Option.none<number>()] as const
      )
    })))

const pointsOf = ({ series, times }: RangeResult): ReadonlyArray<RangePoint> =>
  times.flatMap((time, i) =>
    series.flatMap(({ values, ...named }) => (Number.isNaN(values[i]!) ? [] : [{ ...named, time, value: values[i]! }]))
  )
