import type { SpanData } from "@effect-observability/core"
import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer"
import * as Layer from "effect/Layer"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Bench } from "../../../test/bench/Bench.ts"
import * as OtlpEncoding from "../src/OtlpEncoding.ts"
import { readableSpan } from "../src/spanExporter/readableSpan.ts"

// B6: encoding alone, of the same spans (five attributes, one event), in batches of 512: ours from the plain span, the peers' from
// theirs, which are made outside the timed part. Effect's encoders are given the object its exporter builds (building it is not timed).

const size = 512
const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0")

const span = (i: number): SpanData => ({
  traceId: `0af7651916cd43dd8448eb21${hex(i, 8)}`,
  spanId: `b7ad6b71${hex(i, 8)}`,
  parentSpanId: "00f067aa0ba902b7",
  name: "GET /orders/:id",
  kind: "server",
  startTime: 1_700_000_000_000_000_000n + BigInt(i) * 1_000_003n,
  endTime: 1_700_000_000_000_900_000n + BigInt(i) * 1_000_003n,
  status: "unset",
  statusMessage: undefined,
  attributes: new Map<string, unknown>([
    ["http.request.method", "GET"],
    ["http.route", "/orders/:id"],
    ["http.response.status_code", 200],
    ["user.tier", "gold"],
    ["retry", false]
  ]),
  events: [{ name: "cache.miss", time: 1_700_000_000_000_400_000n + BigInt(i) * 1_000_003n, attributes: { key: `order:${i}` } }],
  links: [],
  droppedAttributes: 0,
  droppedEvents: 0,
  droppedLinks: 0,
  weight: 1,
  traceState: ""
})

const origin: OtlpEncoding.Origin = { resource: { "service.name": "shop" }, scope: { name: "effect-observability", version: "0.1.0" } }

export default async (bench: Bench): Promise<void> => {
  const ours = Array.from({ length: size }, (_, i) => span(i))
  const theirs = ours.map((data) => readableSpan(data, origin)) as never
  const protobuf = OtlpEncoding.spanEncoder("protobuf", origin)
  const json = OtlpEncoding.spanEncoder("json", origin)
  const object = JSON.parse(new TextDecoder().decode(OtlpEncoding.spans("json", origin, ours).body), (key, value) =>
    typeof value === "object" && value !== null && "spanId" in value
      ? { links: [], status: { code: 0 }, droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0, ...value }
      : key === "events"
      ? value.map((event: object) => ({ droppedAttributesCount: 0, ...event }))
      : key === "resource"
      ? { droppedAttributesCount: 0, ...value }
      : value) as never
  const effect = async (layer: Layer.Layer<OtlpSerialization.OtlpSerialization>) =>
    Context.get(await Effect.runPromise(Effect.scoped(Layer.build(layer))), OtlpSerialization.OtlpSerialization)
  const effectProtobuf = await effect(OtlpSerialization.layerProtobuf)
  const effectJson = await effect(OtlpSerialization.layerJson)

  const subject = (encoder: OtlpEncoding.ItemEncoder<SpanData>, name: string) => ({ name, ops: size, run: () => void OtlpEncoding.toEnd(encoder.encode(ours)) })
  bench.compare({
    name: "otlp.encode",
    unit: "ns/op",
    must: 0.6,
    moonshot: 0.3,
    baseline: { name: "OTel ProtobufTraceSerializer", ops: size, run: () => void ProtobufTraceSerializer.serializeRequest(theirs) },
    subject: subject(protobuf, "protobuf")
  })
  bench.compare({
    name: "otlp.encode.effect",
    unit: "ns/op",
    moonshot: 1 / 45,
    baseline: { name: "Effect OtlpSerialization protobuf", ops: size, run: () => void effectProtobuf.traces(object) },
    subject: subject(protobuf, "protobuf")
  })
  bench.compare({
    name: "otlp.encode.json",
    unit: "ns/op",
    must: 1,
    baseline: { name: "OTel JsonTraceSerializer", ops: size, run: () => void JsonTraceSerializer.serializeRequest(theirs) },
    subject: subject(json, "JSON")
  })
  bench.compare({
    name: "otlp.encode.json.effect",
    unit: "ns/op",
    baseline: { name: "Effect OtlpSerialization JSON", ops: size, run: () => void effectJson.traces(object) },
    subject: subject(json, "JSON")
  })
}
