export { FrameMaker as Series4, type Happening } from "@effect-observability/testkit/contract"
