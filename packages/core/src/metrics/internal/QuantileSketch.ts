/**
 * Quantiles of a stream in bounded memory, within 1 % of the true value: logarithmic bins (the DDSketch scheme, Masson, Rim and
 * Lee, VLDB 2019). Past `maxBins` the lowest bins are joined, so that high quantiles keep their accuracy.
 */
export class QuantileSketch {
  private static readonly gamma = 1.01 / 0.99
  private static readonly scale = 1 / Math.log(QuantileSketch.gamma)
  private static readonly maxBins = 2048
  /** Magnitudes below it count as zero. */
  private static readonly tiny = 1e-300

  private readonly positive = new Map<number, number>()
  private readonly negative = new Map<number, number>()
  private zeros = 0
  private count = 0

  add(value: number): void {
    this.count++
    if (value > QuantileSketch.tiny) put(this.positive, key(value))
    else if (value < -QuantileSketch.tiny) put(this.negative, key(-value))
    else this.zeros++
    if (this.positive.size > QuantileSketch.maxBins) collapse(this.positive)
    if (this.negative.size > QuantileSketch.maxBins) collapse(this.negative)
  }

  /** The value at quantile `q` (0 to 1); NaN while empty. */
  quantile(q: number): number {
    if (this.count === 0) return NaN
    let rank = Math.floor(Math.min(Math.max(q, 0), 1) * (this.count - 1))
    for (const bin of sorted(this.negative).reverse()) {
      rank -= this.negative.get(bin)!
      if (rank < 0) return -middle(bin)
    }
    rank -= this.zeros
    if (rank < 0) return 0
    let last = 0
    for (const bin of sorted(this.positive)) {
      last = middle(bin)
      rank -= this.positive.get(bin)!
      if (rank < 0) return last
    }
    return last
  }

  static key(value: number): number {
    return Math.ceil(Math.log(value) * QuantileSketch.scale)
  }

  static middle(bin: number): number {
    return (2 * Math.pow(QuantileSketch.gamma, bin)) / (QuantileSketch.gamma + 1)
  }
}

const { key, middle } = QuantileSketch

const put = (bins: Map<number, number>, bin: number): void => {
  bins.set(bin, (bins.get(bin) ?? 0) + 1)
}

const sorted = (bins: Map<number, number>): Array<number> => [...bins.keys()].sort((a, b) => a - b)

const collapse = (bins: Map<number, number>): void => {
  const [lowest, next] = sorted(bins)
  bins.set(next!, bins.get(next!)! + bins.get(lowest!)!)
  bins.delete(lowest!)
}
