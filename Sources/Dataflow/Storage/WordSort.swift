// Sorts places by words: digit by digit, so that many keys of whole numbers and times need no comparisons.
//
// Digits of 11 bits, the lowest first; a digit that all words have in common costs one look. Equal words keep their order, so columns are
// sorted from the last to the first.

import Values

enum WordSort {
    private static let bits = 11

    /// The places 0 ..< count in ascending order of the rows that `entries` names, by columns that are plain words.
    /// - Parameter entries: the row of each place.
    static func places(_ entries: [Int32], by columns: [UnsafePointer<Int64>]) -> [Int32] {
        let count = entries.count
        var places = (0..<Int32(count)).map(\.self)
        var other = [Int32](repeating: 0, count: count)
        var words = [UInt64](repeating: 0, count: count)
        var otherWords = [UInt64](repeating: 0, count: count)
        for column in columns.reversed() {
            var (all, any): (UInt64, UInt64) = (.max, 0)
            for place in 0..<count {
                // The sign's bit turned: as a number without a sign the order is the same.
                let word = UInt64(bitPattern: column[Int(entries[Int(places[place])])]) ^ 1 << 63
                words[place] = word
                all &= word
                any |= word
            }
            let differing = all ^ any
            for shift in stride(from: 0, to: 64, by: bits) where differing >> UInt64(shift) & (1 << UInt64(bits) - 1) != 0 {
                pass(words, places, &otherWords, &other, UInt64(shift))
                swap(&words, &otherWords)
                swap(&places, &other)
            }
        }
        return places
    }

    private static func pass(_ words: [UInt64], _ places: [Int32], _ toWords: inout [UInt64], _ toPlaces: inout [Int32], _ shift: UInt64) {
        let (count, mask) = (words.count, UInt64(1) << UInt64(bits) - 1)
        withUnsafeTemporaryAllocation(of: Int.self, capacity: 1 << bits) { starts in
            starts.update(repeating: 0)
            words.withUnsafeBufferPointer { words in
                for place in 0..<count { starts[Int(words[place] >> shift & mask)] &+= 1 }
                var sum = 0
                for digit in 0..<1 << bits { (starts[digit], sum) = (sum, sum + starts[digit]) }
                places.withUnsafeBufferPointer { places in
                    toWords.withUnsafeMutableBufferPointer { toWords in
                        toPlaces.withUnsafeMutableBufferPointer { toPlaces in
                            for place in 0..<count {
                                let digit = Int(words[place] >> shift & mask)
                                let at = starts[digit]
                                starts[digit] = at &+ 1
                                toWords[at] = words[place]
                                toPlaces[at] = places[place]
                            }
                        }
                    }
                }
            }
        }
    }
}
