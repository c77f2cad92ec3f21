/** UCUM codes of the units that definitions name in words (OpenTelemetry semantic conventions, "Metrics", "Instrument units"). */
const codes: ReadonlyMap<string, string> = new Map([
  ["seconds", "s"],
  ["milliseconds", "ms"],
  ["microseconds", "us"],
  ["nanoseconds", "ns"],
  ["minutes", "min"],
  ["hours", "h"],
  ["days", "d"],
  ["bytes", "By"],
  ["kilobytes", "kBy"],
  ["megabytes", "MBy"],
  ["gigabytes", "GBy"],
  ["kibibytes", "KiBy"],
  ["mebibytes", "MiBy"],
  ["gibibytes", "GiBy"],
  ["bits", "bit"],
  ["ratio", "1"],
  ["ratios", "1"],
  ["percent", "%"],
  ["celsius", "Cel"],
  ["kelvin", "K"],
  ["meters", "m"],
  ["metres", "m"],
  ["grams", "g"],
  ["volts", "V"],
  ["amperes", "A"],
  ["watts", "W"],
  ["joules", "J"],
  ["hertz", "Hz"]
])

/** A definition's unit as UCUM; a word it does not know (`requests`) becomes an annotation, `{requests}`. */
export const ucum = (unit: string): string => codes.get(unit) ?? (/^[a-z_]{4,}$/i.test(unit) ? `{${unit}}` : unit)
