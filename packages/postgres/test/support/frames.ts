export { FrameMaker as Series4 } from "@effect-observability/testkit/contract"
