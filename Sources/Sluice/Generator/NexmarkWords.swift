// The words of Nexmark's events, and how a record is written from them.
//
// Names, cities and states are few, so that queries find something in few events. Half of all bids come through four
// channels, the others through ten thousand; each channel has one address, and nine of ten of those name the channel's number
// at their end. Random words are small letters, one in thirteen a blank or an underscore. Nothing here needs an escape in JSON.

import Glibc

struct NexmarkWords: Sendable {
    struct Channel: Sendable {
        var name: [UInt8]
        var url: [UInt8]
    }

    let firstNames = split("Peter,Paul,Luke,John,Saul,Vicky,Kate,Julie,Sarah,Deiter,Walter")
    let lastNames = split("Shultz,Abrams,Spencer,White,Bartels,Walton,Smith,Jones,Noris")
    let cities = split("Phoenix,Los Angeles,San Francisco,Boise,Portland,Bend,Redmond,Seattle,Kent,Cheyenne")
    let states = split("AZ,CA,ID,OR,WA,WY")
    let hotChannels: [Channel]
    let channels: [Channel]
    /// What padding is cut from.
    let letters: [UInt8]

    static let channelCount = 10_000
    private static let letterCount = 1 << 20

    init(seed: UInt64) {
        var random = EventDraws(SeededDraws(seed: seed, .nexmarkWords).draw(0))
        hotChannels = Self.split("Google,Facebook,Baidu,Apple").map { Channel(name: $0, url: Self.url(&random)) }
        channels = (0..<Self.channelCount).map { number in
            var url = Self.url(&random)
            // The number's bits from the last to the first: what the public generator takes for scattered.
            if random.below(10) > 0 { url += Array("&channel_id=\(Int32(bitPattern: UInt32(number).reversedBits).magnitude)".utf8) }
            return Channel(name: Array("channel-\(number)".utf8), url: url)
        }
        letters = (0..<Self.letterCount).map { _ in UInt8(ascii: "a") + UInt8(random.below(26)) }
    }

    private static func split(_ text: String) -> [[UInt8]] { text.split(separator: ",").map { Array($0.utf8) } }

    private static func url(_ random: inout EventDraws) -> [UInt8] {
        var url = Array("https://www.nexmark.com/".utf8)
        for _ in 0..<3 { url += word(below: 5, blank: UInt8(ascii: "_"), &random) + [UInt8(ascii: "/")] }
        return url + Array("item.htm?query=1".utf8)
    }

    /// Three letters or more, fewer than the bound.
    private static func word(below bound: Int, blank: UInt8, _ random: inout EventDraws) -> [UInt8] {
        (0..<3 + random.below(bound - 3)).map { _ in random.below(13) == 0 ? blank : UInt8(ascii: "a") + UInt8(random.below(26)) }
    }
}

extension UInt32 {
    fileprivate var reversedBits: UInt32 { (0..<32).reduce(0) { $0 | (self >> UInt32($1) & 1) << UInt32(31 - $1) } }
}

/// Writes one record behind the other into memory that has room for them.
struct RecordWriter {
    private var at: UnsafeMutablePointer<UInt8>

    init(to start: UnsafeMutablePointer<UInt8>) { at = start }

    func count(from start: UnsafeMutablePointer<UInt8>) -> Int { at - start }

    @inline(__always)
    mutating func add(_ text: StaticString) {
        memcpy(at, text.utf8Start, text.utf8CodeUnitCount)
        at += text.utf8CodeUnitCount
    }

    @discardableResult @inline(__always)
    mutating func add(_ text: [UInt8]) -> Int {
        text.withUnsafeBufferPointer { _ = memcpy(at, $0.baseAddress!, $0.count) }
        at += text.count
        return text.count
    }

    mutating func letters(_ letters: [UInt8], from first: Int, count: Int) {
        letters.withUnsafeBufferPointer { _ = memcpy(at, $0.baseAddress! + first, count) }
        at += count
    }

    /// A random text of three letters or more, fewer than the bound, without blanks around it; says how long it is.
    mutating func words(_ bound: Int, _ random: inout EventDraws) -> Int {
        let blank = UInt8(ascii: " ")
        let start = at
        for _ in 0..<3 + random.below(bound - 3) {
            let letter = random.below(13) == 0 ? blank : UInt8(ascii: "a") + UInt8(random.below(26))
            if letter == blank && at == start { continue }
            put(letter)
        }
        while at > start && at[-1] == blank { at -= 1 }
        return at - start
    }

    mutating func number(_ value: Int) {
        precondition(value >= 0)
        var digits = 1
        var rest = value / 10
        while rest > 0 {
            digits += 1
            rest /= 10
        }
        decimal(value, digits)
    }

    mutating func fourDigits(_ value: Int) { decimal(value, 4) }

    /// `"2026-03-01T12:00:00.000Z"`, with its quotes.
    mutating func time(_ millis: Int64) {
        let (day, inDay) = (Int(millis / 86_400_000), Int(millis % 86_400_000))
        // Days are counted from March 1 of year 0, so that the leap day is a year's last one.
        let shifted = day + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        put(UInt8(ascii: "\""))
        decimal(era * 400 + yearOfEra + (month <= 2 ? 1 : 0), 4)
        put(UInt8(ascii: "-"))
        decimal(month, 2)
        put(UInt8(ascii: "-"))
        decimal(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1, 2)
        put(UInt8(ascii: "T"))
        decimal(inDay / 3_600_000, 2)
        put(UInt8(ascii: ":"))
        decimal(inDay / 60_000 % 60, 2)
        put(UInt8(ascii: ":"))
        decimal(inDay / 1000 % 60, 2)
        put(UInt8(ascii: "."))
        decimal(inDay % 1000, 3)
        put(UInt8(ascii: "Z"))
        put(UInt8(ascii: "\""))
    }

    @inline(__always)
    private mutating func put(_ byte: UInt8) {
        at.pointee = byte
        at += 1
    }

    @inline(__always)
    private mutating func decimal(_ value: Int, _ digits: Int) {
        var rest = value
        var place = digits - 1
        while place >= 0 {
            at[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
            place -= 1
        }
        at += digits
    }
}
