// Makes one input out of others: the changes that find the edges of a parser.
//
// A seed fixes the whole sequence (xorshift64*), so a finding is repeated by format, seed and number. Works in one buffer
// that is used again: nothing is allocated for an input.

struct InputMutator {
    /// Long enough for the deepest nesting that a format allows, short enough to stay fast.
    static let longestInput = 1024

    private var state: UInt64
    private let tokens: [[UInt8]]
    private let buffer: UnsafeMutablePointer<UInt8>
    private var count = 0

    init(seed: UInt64, tokens: [[UInt8]]) {
        state = (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15 | 1
        self.tokens = tokens
        buffer = .allocate(capacity: Self.longestInput)
    }

    func deallocate() { buffer.deallocate() }

    mutating func below(_ bound: Int) -> Int {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return Int((state &* 0x2545_F491_4F6C_DD1D).multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// A changed copy of one input; valid until the next call.
    mutating func input(from corpus: [[UInt8]]) -> UnsafeBufferPointer<UInt8> {
        let base = corpus[below(corpus.count)]
        count = min(base.count, Self.longestInput)
        for index in 0..<count { buffer[index] = base[index] }
        for _ in 0..<1 << below(4) { change(corpus) }
        return UnsafeBufferPointer(start: buffer, count: count)
    }

    private mutating func change(_ corpus: [[UInt8]]) {
        if count == 0 { return insert([UInt8(below(256))], at: 0) }
        let place = below(count)
        switch below(12) {
        case 0: buffer[place] = UInt8(below(256))
        case 1, 2: buffer[place] ^= 1 << UInt8(below(8))
        case 3: buffer[place] = [0, 1, 2, 0x20, 0x22, 0x5c, 0x7f, 0x80, 0xff][below(9)]
        case 4: remove(place, 1 + below(min(8, count - place)))
        case 5: insert([UInt8(below(256))], at: place)
        case 6: count = place
        case 7, 8: put(tokens[below(tokens.count)], at: place)
        case 9: writeLength(at: place)
        case 10:
            let length = 1 + below(min(32, count - place))
            insert(Array(UnsafeBufferPointer(start: buffer + place, count: length)), at: below(count))
        default:
            let other = corpus[below(corpus.count)]
            if other.isEmpty { return }
            let from = below(other.count)
            count = place
            insert(other[from...].prefix(Self.longestInput), at: place)
        }
    }

    /// A token instead of what is there, or before it.
    private mutating func put(_ token: [UInt8], at place: Int) {
        if below(2) == 0 { remove(place, min(token.count, count - place)) }
        insert(token, at: place)
    }

    /// A number near an edge, in one of the forms that lengths and counts have.
    private mutating func writeLength(at place: Int) {
        let shift = UInt64(below(64))
        var value = (UInt64(1) << shift) &+ UInt64(below(3)) &- 1
        if below(4) == 0 { value = UInt64(below(count + 2)) }
        var bytes: [UInt8] = []
        switch below(3) {
        case 0: for index in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
        case 1: for index in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
        default:
            while value > 0x7f {
                bytes.append(UInt8(value & 0x7f) | 0x80)
                value >>= 7
            }
            bytes.append(UInt8(value))
        }
        put(bytes, at: place)
    }

    private mutating func remove(_ place: Int, _ length: Int) {
        for index in place..<count - length { buffer[index] = buffer[index + length] }
        count -= length
    }

    private mutating func insert(_ bytes: some RandomAccessCollection<UInt8>, at place: Int) {
        let length = min(bytes.count, Self.longestInput - count)
        for index in stride(from: count - 1, through: place, by: -1) { buffer[index + length] = buffer[index] }
        for (index, byte) in bytes.prefix(length).enumerated() { buffer[place + index] = byte }
        count += length
    }
}
