// Sums of floats without loss: a number with a bit for every place that a double can have.
//
// A finite double is a whole multiple of 2^-1074 below 2^1024, so 2,098 bits hold every one of them; 34 words of 64 bits
// leave room for 2^77 additions. The words are one two's complement integer: adding is exact, so it does not depend on the
// order, and equal totals are equal words. It takes 272 bytes and touches up to 34 words an addition, so it is only what a
// group falls back to: ordinary totals stay in three words (`ExactWindow`), and `FloatTotals` says when.

import Glibc

struct ExactNumber: Hashable, Sendable {
    static let wordCount = 34
    /// What the lowest bit stands for: 2 to this power.
    static let lowestExponent = -1074

    /// Little end first.
    private(set) var words: [UInt64]

    init() { words = Array(repeating: 0, count: Self.wordCount) }

    /// - Parameter words: `wordCount` of them.
    init(words: [UInt64]) {
        precondition(words.count == Self.wordCount)
        self.words = words
    }

    var isZero: Bool { words.allSatisfy { $0 == 0 } }
    var isNegative: Bool { words[Self.wordCount - 1] >> 63 != 0 }

    /// Adds a finite number.
    mutating func add(_ value: Double) {
        let bits = value.bitPattern
        let exponent = Int(bits >> 52 & 0x7ff)
        let fraction = bits & (1 << 52 - 1)
        // Subnormal numbers lie where those with the smallest exponent do, without the leading one.
        let mantissa = exponent == 0 ? fraction : fraction | 1 << 52
        let place = Swift.max(exponent - 1, 0)
        let (word, shift) = (place >> 6, UInt64(place & 63))
        let (low, high) = (mantissa << shift, shift == 0 ? 0 : mantissa >> (64 - shift))
        if bits >> 63 == 0 {
            add(low, high, at: word)
        } else {
            subtract(low, high, at: word)
        }
    }

    mutating func add(_ other: ExactNumber) {
        var carry: UInt64 = 0
        for index in 0..<Self.wordCount { words[index] = Self.sum(words[index], other.words[index], &carry) }
    }

    /// Adds what a window holds.
    mutating func add(_ window: ExactWindow) {
        let sign: UInt64 = window.high < 0 ? .max : 0
        let (word, shift) = (ExactWindow.firstPlace >> 6, UInt64(ExactWindow.firstPlace & 63))
        let parts = [window.low, window.middle, UInt64(bitPattern: window.high), sign]
        var (carry, below): (UInt64, UInt64) = (0, 0)
        for index in word..<Self.wordCount {
            let part = index - word < 4 ? parts[index - word] : sign
            words[index] = Self.sum(words[index], part << shift | below >> (64 - shift), &carry)
            below = part
        }
    }

    /// The same number in three words, where it fits.
    var window: ExactWindow? {
        let (word, shift) = (ExactWindow.firstPlace >> 6, UInt64(ExactWindow.firstPlace & 63))
        guard words[..<word].allSatisfy({ $0 == 0 }), words[word] & (1 << shift - 1) == 0 else { return nil }
        func part(_ index: Int) -> UInt64 { words[word + index] >> shift | words[word + index + 1] << (64 - shift) }
        let high = Int64(bitPattern: part(2))
        let sign: UInt64 = high < 0 ? .max : 0
        guard Int64(bitPattern: words[word + 3]) >> Int64(shift) == Int64(bitPattern: sign),
            words[(word + 4)...].allSatisfy({ $0 == sign })
        else { return nil }
        return ExactWindow(low: part(0), middle: part(1), high: high)
    }

    /// The nearest double to the number divided by `count`; nil where that is beyond the largest one.
    func rounded(dividedBy count: UInt64 = 1) -> Double? {
        ExactRounding.nearest(magnitude, lowestExponent: Self.lowestExponent, isNegative: isNegative, dividedBy: count)
    }

    private var magnitude: [UInt64] {
        guard isNegative else { return words }
        var carry: UInt64 = 1
        return words.map { Self.sum(~$0, 0, &carry) }
    }

    private mutating func add(_ low: UInt64, _ high: UInt64, at word: Int) {
        var carry: UInt64 = 0
        words[word] = Self.sum(words[word], low, &carry)
        words[word + 1] = Self.sum(words[word + 1], high, &carry)
        var index = word + 2
        while carry != 0 && index < Self.wordCount {
            words[index] = Self.sum(words[index], 0, &carry)
            index += 1
        }
    }

    private mutating func subtract(_ low: UInt64, _ high: UInt64, at word: Int) {
        // Two's complement: the inverse and one; what the inverse has above is all ones.
        var carry: UInt64 = 1
        words[word] = Self.sum(words[word], ~low, &carry)
        words[word + 1] = Self.sum(words[word + 1], ~high, &carry)
        var index = word + 2
        while carry == 0 && index < Self.wordCount {
            words[index] = Self.sum(words[index], .max, &carry)
            index += 1
        }
    }

    @inline(__always)
    private static func sum(_ a: UInt64, _ b: UInt64, _ carry: inout UInt64) -> UInt64 {
        let (partial, first) = a.addingReportingOverflow(b)
        let (total, second) = partial.addingReportingOverflow(carry)
        carry = first || second ? 1 : 0
        return total
    }
}

/// A total of ordinary floats: 192 bits in two's complement, 128 of them after the point.
///
/// What fits adds exactly: numbers from 2^-76 up to 2^62, and zero.
struct ExactWindow: Hashable, Sendable, BitwiseCopyable {
    /// The place of the lowest bit among those of an `ExactNumber`.
    static let firstPlace = -128 - ExactNumber.lowestExponent
    /// The exponent fields of the doubles that fit, as IEEE 754 stores them.
    private static let firstExponent: UInt64 = 1075 - 128
    private static let exponentCount: UInt64 = 62 + 76

    var low: UInt64 = 0
    var middle: UInt64 = 0
    var high: Int64 = 0

    var isZero: Bool { low | middle | UInt64(bitPattern: high) == 0 }

    /// Whether `value` is one that fits (zero is none of them, and adds nothing).
    @inline(__always)
    static func fits(_ value: Double) -> Bool {
        (value.bitPattern >> 52 & 0x7ff) &- firstExponent < exponentCount
    }

    /// Adds a number that fits.
    /// - Returns: false, with nothing changed, when the total would not fit any more.
    @inline(__always)
    mutating func add(_ value: Double) -> Bool {
        let bits = value.bitPattern
        let place = (bits >> 52 & 0x7ff) &- Self.firstExponent
        let mantissa = bits & (1 << 52 - 1) | 1 << 52
        let shift = place & 63
        let first = mantissa &<< shift
        let second = (mantissa &>> 1) &>> (63 &- shift)
        let word = place &>> 6
        // All ones for a negative number, whose parts are inverted and one is added.
        let sign = UInt64(bitPattern: Int64(bitPattern: bits) &>> 63)
        let p0 = (word == 0 ? first : 0) ^ sign
        let p1 = (word == 0 ? second : word == 1 ? first : 0) ^ sign
        let p2 = (word == 0 ? 0 : word == 1 ? second : first) ^ sign
        return add(p0, p1, Int64(bitPattern: p2), sign & 1)
    }

    /// Adds another total.
    /// - Returns: false, with nothing changed, when the total would not fit any more.
    @inline(__always)
    mutating func add(_ other: ExactWindow) -> Bool { add(other.low, other.middle, other.high, 0) }

    @inline(__always)
    private mutating func add(_ p0: UInt64, _ p1: UInt64, _ p2: Int64, _ carryIn: UInt64) -> Bool {
        let (a0, c0) = low.addingReportingOverflow(p0)
        let (b0, d0) = a0.addingReportingOverflow(carryIn)
        let (a1, c1) = middle.addingReportingOverflow(p1)
        let (b1, d1) = a1.addingReportingOverflow(c0 || d0 ? 1 : 0)
        let sum = high &+ p2 &+ (c1 || d1 ? 1 : 0)
        if (high ^ sum) & (p2 ^ sum) < 0 { return false }
        (low, middle, high) = (b0, b1, sum)
        return true
    }

    /// The nearest double to the total divided by `count`: it always fits.
    func rounded(dividedBy count: UInt64 = 1) -> Double {
        var words = [low, middle, UInt64(bitPattern: high)]
        if high < 0 {
            var carry = true
            for index in words.indices {
                let (word, isOver) = (~words[index]).addingReportingOverflow(carry ? 1 : 0)
                (words[index], carry) = (word, isOver)
            }
        }
        return ExactRounding.nearest(words, lowestExponent: -128, isNegative: high < 0, dividedBy: count) ?? .nan
    }
}

/// From whole numbers of any length to the nearest double, halves to the even one.
enum ExactRounding {
    /// - Parameters:
    ///   - magnitude: little end first; its lowest bit stands for 2^`lowestExponent`.
    ///   - count: what it is divided by before it is rounded, once; not 0.
    /// - Returns: nil where the result is beyond the largest double.
    static func nearest(
        _ magnitude: [UInt64], lowestExponent: Int, isNegative: Bool, dividedBy count: UInt64 = 1
    ) -> Double? {
        var words = magnitude
        var lowest = lowestExponent
        var isInexact = false
        if count > 1 {
            // 128 bits more leave at least 64 of the quotient, whatever it is divided by.
            words.insert(contentsOf: [0, 0], at: 0)
            lowest -= 128
            var rest: UInt64 = 0
            for index in words.indices.reversed() {
                (words[index], rest) = count.dividingFullWidth((rest, words[index]))
            }
            isInexact = rest != 0
        }
        guard let top = words.lastIndex(where: { $0 != 0 }) else { return 0 }
        let zeros = UInt64(words[top].leadingZeroBitCount)
        let below = top > 0 ? words[top - 1] : 0
        // The 64 highest bits, and whether there is anything behind them.
        let head = zeros == 0 ? words[top] : words[top] << zeros | below >> (64 - zeros)
        if top > 0 { isInexact = isInexact || below << zeros != 0 || words[..<(top - 1)].contains { $0 != 0 } }
        let exponent = top * 64 + 63 - Int(zeros) + lowest
        let kept = Swift.min(53, exponent + 1075)
        if kept < 0 { return isNegative ? -0.0 : 0 }
        let dropped = UInt64(64 - kept)
        var mantissa = dropped == 64 ? 0 : head >> dropped
        let half = head >> (dropped - 1) & 1 != 0
        let more = isInexact || head & (1 << (dropped - 1) - 1) != 0
        if half && (more || mantissa & 1 != 0) { mantissa += 1 }
        let result = scalbn(Double(mantissa), Int32(exponent - kept + 1))
        return result.isFinite ? isNegative ? -result : result : nil
    }
}
