import { Composite, Memory } from "@effect-observability/core"
import { errorHistoryProbe, errorHistorySuite, errorsSuite, historyProbes, historySuite, logsSuite, memoryEventProbes, memoryHistory, memoryProbes, metricsSuite, spansSuite, tracesSuite } from "@effect-observability/testkit/contract"
import { Layer } from "effect"
import { TestLayer } from "@effect-observability/testkit"

const memory = memoryProbes.pipe(Layer.provideMerge(Memory.layer()))
metricsSuite("memory", memory)
spansSuite("memory", memory)

const events = memoryEventProbes.pipe(Layer.provideMerge(Memory.layer()))
errorsSuite("memory", events)
logsSuite("memory", events)

const history = historyProbes.pipe(Layer.provideMerge(TestLayer))
metricsSuite("memory history", history)
spansSuite("memory history", history)
tracesSuite("memory history", history)
const errors = errorHistoryProbe.pipe(Layer.provideMerge(TestLayer))
errorsSuite("memory history", errors)
errorHistorySuite("memory history", errors)

historySuite("memory", memoryHistory)

const composite = memoryProbes.pipe(
  Layer.provideMerge(Composite.layer([Memory.layer(), Memory.layer({ name: "second" })]))
)
metricsSuite("composite of two memories", composite)
spansSuite("composite of two memories", composite)
