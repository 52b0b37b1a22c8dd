// Foreign text on its way to a terminal: names of jobs and topics, settings, sentences of brokers and databases, records.
//
// A text that was taken from outside may hold what a terminal obeys: escape sequences, the eight-bit controls, marks that turn
// the direction of a line. Whatever writes for people passes through here, once, at the place where it writes (`Terminal`,
// `Log`), so that nobody has to remember it where a text is put together. What acts is shown as `\u001b`, which is also
// what JSON writes for it, so that an object on a line stays one.

/// Whether a character acts on a terminal, or shows nothing, instead of standing for itself.
private func acts(_ scalar: Unicode.Scalar) -> Bool {
    // Nearly everything is plain ASCII.
    if scalar.value < 0x7F { return scalar.value < 0x20 }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: return true
    default: return false
    }
}

package enum PlainText {
    /// Whether a text holds nothing that acts on a terminal.
    package static func isPlain(_ text: String) -> Bool { !text.unicodeScalars.contains(where: acts) }

    /// The text with everything that acts on a terminal written out.
    /// - Parameter keepsLines: ends of lines stay; for text that was put together in lines.
    package static func of(_ text: String, keepsLines: Bool = false) -> String {
        func stays(_ scalar: Unicode.Scalar) -> Bool { !acts(scalar) || (keepsLines && scalar == "\n") }
        guard !text.unicodeScalars.allSatisfy(stays) else { return text }
        var plain = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if stays(scalar) {
                plain.append(scalar)
            } else {
                plain.append(contentsOf: written(scalar).unicodeScalars)
            }
        }
        return String(plain)
    }

    /// `\n`, `\t` or `\u` and four digits, twice beyond the first 65,536 characters: as in JSON.
    private static func written(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        default:
            UTF16.encode(scalar)!.map { unit in
                let digits = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }.joined()
        }
    }
}
