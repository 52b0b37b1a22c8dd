// Sizes as people write them: whole numbers of bytes, with units of 1024.

private let sizeUnits: [(suffix: String, factor: Int64)] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]

/// Parses a number of bytes: `65536`, `64KiB`, `48MiB`, `1GiB`. Units of 1000 are refused, because half the world
/// reads them as 1024.
package func parseSize(_ text: String) -> Int64? {
    for (suffix, factor) in sizeUnits where text.hasSuffix(suffix) {
        guard let value = Int64(text.dropLast(suffix.count)), value >= 0 else { return nil }
        let (bytes, overflow) = value.multipliedReportingOverflow(by: factor)
        return overflow ? nil : bytes
    }
    guard let value = Int64(text), value >= 0 else { return nil }
    return value
}

/// The shortest exact text that `parseSize` reads back.
package func formatSize(_ bytes: Int64) -> String {
    for (suffix, factor) in sizeUnits where bytes != 0 && bytes % factor == 0 { return "\(bytes / factor)\(suffix)" }
    return String(bytes)
}
