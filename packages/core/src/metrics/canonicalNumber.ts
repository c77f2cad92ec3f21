/**
 * A bound or quantile as OpenMetrics wants it ("Canonical Numbers") and as Prometheus 3 stores it, so that a series keeps its
 * identity over formats and versions: Go's shortest `%g`, with `.0` where nothing else tells that it is no integer.
 */
export const canonicalNumber = (value: number): string => {
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : value < 0 ? "-Inf" : "NaN"
  const [mantissa, power] = value.toExponential().split("e") as [string, string]
  const exponent = Number(power)
  if (exponent < -4 || exponent >= 6) return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`
  const text = String(value)
  return text.includes(".") ? text : `${text}.0`
}
