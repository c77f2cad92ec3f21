import * as Layer from "effect/Layer"

/** A readable name for backends side by side: the same as `Layer.mergeAll`, which shares the hub between them. */
export const layer = <const Layers extends readonly [Layer.Layer<never, any, any>, ...Array<Layer.Layer<never, any, any>>]>(
  layers: Layers
): Layer.Layer<
  { [K in keyof Layers]: Layer.Success<Layers[K]> }[number],
  { [K in keyof Layers]: Layer.Error<Layers[K]> }[number],
  { [K in keyof Layers]: Layer.Services<Layers[K]> }[number]
> => Layer.mergeAll(...layers)
