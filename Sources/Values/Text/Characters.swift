// Characters of UTF-8 text: counted, found and changed in case, as a PostgreSQL of encoding UTF8 and LC_CTYPE C.UTF-8 does.
//
// A character is a code point. Case is changed by the simple mappings, one code point to one: `ß` has no upper case of its own.
// The mappings are those of the Swift runtime that we are built with, so every worker of one build has the same.

import Glibc

enum Characters {
    /// How many bytes the character has that begins with `lead`.
    @inline(__always)
    static func width(_ lead: UInt8) -> Int { lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4 }

    @inline(__always)
    static func count(_ text: Bytes) -> Int {
        var count = 0
        for byte in text { count &+= byte & 0xC0 != 0x80 ? 1 : 0 }
        return count
    }

    /// The byte at which character `index` begins, counted from `start`; the end where there are fewer.
    static func offset(_ text: Bytes, _ index: Int, from start: Int = 0) -> Int {
        var (place, left) = (start, index)
        while left > 0 && place < text.count {
            place += width(text[place])
            left -= 1
        }
        return min(place, text.count)
    }

    /// The byte at which the last `count` characters begin; 0 where there are fewer.
    static func offset(_ text: Bytes, fromEnd count: Int) -> Int {
        var (place, left) = (text.count, count)
        while left > 0 && place > 0 {
            place -= 1
            while place > 0 && text[place] & 0xC0 == 0x80 { place -= 1 }
            left -= 1
        }
        return place
    }

    /// Where `needle` is first found at or behind `start`.
    static func find(_ needle: Bytes, in text: Bytes, from start: Int = 0) -> Int? {
        if needle.isEmpty { return start <= text.count ? start : nil }
        guard text.count - start >= needle.count else { return nil }
        let (base, first, last) = (text.baseAddress!, Int32(needle[0]), text.count - needle.count)
        var place = start
        while place <= last {
            guard let found = memchr(base + place, first, last - place + 1) else { return nil }
            place = UnsafeRawPointer(found) - base
            if memcmp(base + place, needle.baseAddress!, needle.count) == 0 { return place }
            place += 1
        }
        return nil
    }

    @inline(__always)
    static func scalar(_ text: Bytes, _ place: Int) -> Unicode.Scalar {
        let lead = text[place]
        if lead < 0x80 { return Unicode.Scalar(lead) }
        let width = min(width(lead), text.count - place)
        var value = UInt32(lead) & (width == 2 ? 0x1F : width == 3 ? 0x0F : 0x07)
        for index in 1..<max(width, 1) { value = value << 6 | UInt32(text[place + index] & 0x3F) }
        return Unicode.Scalar(value) ?? "\u{FFFD}"
    }

    static func lower(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        if scalar.isASCII { return Unicode.Scalar(UInt8(scalar.value).lowered) }
        // The one capital whose small letter Swift writes with two code points.
        if scalar == "\u{130}" { return "i" }
        return simple(scalar.properties.lowercaseMapping) ?? scalar
    }

    static func upper(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        if scalar.isASCII {
            let byte = UInt8(scalar.value)
            return Unicode.Scalar((97...122).contains(byte) ? byte - 32 : byte)
        }
        // Greek letters with an iota below have a title form of one code point, which is their simple upper case.
        return simple(scalar.properties.uppercaseMapping) ?? simple(scalar.properties.titlecaseMapping) ?? scalar
    }

    /// The mapping where it is one code point.
    private static func simple(_ mapping: String) -> Unicode.Scalar? {
        let scalars = mapping.unicodeScalars
        return scalars.count == 1 ? scalars.first! : nil
    }

    static func isWordPart(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return UInt8(scalar.value).isDigit || UInt8(scalar.value).isLetter }
        return scalar.properties.isAlphabetic || scalar.properties.numericType == .decimal
    }

    @inline(__always)
    static func map(_ text: Bytes, _ out: inout ByteBuilder, _ body: (Unicode.Scalar) -> Unicode.Scalar) {
        var place = 0
        while place < text.count {
            out.append(body(scalar(text, place)))
            place += width(text[place])
        }
    }
}
