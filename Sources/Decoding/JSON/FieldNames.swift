// Which column a field's name means, and what stood before each value of the last document.
//
// Producers write the same names in the same order, so for each place in a document all that stood before its value is remembered: comma, name,
// colon, and the spaces between them. That is compared in words of eight bytes; only where it differs are its parts read, the name looked for
// (its length and its bytes, exactly), and all of it remembered anew. What is remembered also says that nobody reads the field.

import Values

/// The names of columns, as bytes.
final class FieldNames {
    private let text: UnsafeMutablePointer<UInt8>
    private let starts: [Int]
    /// The first eight bytes of each name, zeros behind a shorter one.
    private let heads: [UInt64]

    init(_ names: [String]) {
        let bytes = names.map { Array($0.utf8) }
        text = .allocate(capacity: max(bytes.reduce(0) { $0 + $1.count }, 1))
        var (starts, place) = ([0], 0)
        for name in bytes {
            for byte in name {
                (text + place).initialize(to: byte)
                place += 1
            }
            starts.append(place)
        }
        self.starts = starts
        heads = bytes.map { $0.withUnsafeBufferPointer { name in name.baseAddress.map { Self.head($0, name.count) } ?? 0 } }
    }

    private static func head(_ name: Place, _ count: Int) -> UInt64 {
        if count >= 8 { return load64(name) }
        var word: UInt64 = 0
        for index in 0..<count { word |= UInt64(name[index]) &<< UInt64(index &* 8) }
        return word
    }

    deinit { text.deallocate() }

    /// The number of a name; -1 where it is none of them.
    func number(_ name: Place, _ count: Int) -> Int {
        let head = Self.head(name, count)
        for index in 0..<heads.count where heads[index] == head && starts[index &+ 1] &- starts[index] == count {
            let own = text + starts[index]
            var place = 8
            while place < count && own[place] == name[place] { place &+= 1 }
            if place >= count { return index }
        }
        return -1
    }
}

/// What stood before the values of the last document, by place.
final class FieldMemory {
    static let places = 64
    let fields: UnsafeMutablePointer<RememberedField>

    init() {
        fields = .allocate(capacity: Self.places)
        fields.initialize(repeating: RememberedField(), count: Self.places)
    }

    deinit { fields.deallocate() }
}

/// One name with all between the value before it and its own, at most 32 bytes, as words padded with zeros.
struct RememberedField {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    /// The bytes of the last word that count.
    private var lastMask: UInt64 = 0
    /// 0 while nothing is remembered.
    private(set) var count: Int32 = 0
    private(set) var column: Int32 = -1

    @inline(__always)
    func matches(_ place: Place, _ end: Place) -> Bool {
        // Near the end of a document, and before a very short value, it is read slowly.
        let count = Int(count)
        if count == 0 || end - place < (count &+ 7) & ~7 { return false }
        let first = load64(place) ^ words.0
        if count <= 8 { return first & lastMask == 0 }
        let second = load64(place + 8) ^ words.1
        if count <= 16 { return first | (second & lastMask) == 0 }
        let third = load64(place + 16) ^ words.2
        if count <= 24 { return first | second | (third & lastMask) == 0 }
        let fourth = load64(place + 24) ^ words.3
        return first | second | third | (fourth & lastMask) == 0
    }

    mutating func remember(_ from: Place, _ count: Int, column: Int) {
        guard count <= 32 else {
            self.count = 0
            return
        }
        var copy: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &copy) { $0.copyMemory(from: UnsafeRawBufferPointer(start: from, count: count)) }
        words = (UInt64(littleEndian: copy.0), UInt64(littleEndian: copy.1), UInt64(littleEndian: copy.2), UInt64(littleEndian: copy.3))
        let rest = count & 7
        lastMask = rest == 0 ? .max : (1 << UInt64(rest * 8)) - 1
        self.count = Int32(count)
        self.column = Int32(column)
    }
}
