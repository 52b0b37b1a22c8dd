// Which known name a person probably meant.
//
// Decides by the fewest single-character edits (insert, delete, replace, swap of neighbours). A name that is further
// away than a third of its length is no help and is not offered.

package enum NearestName {
    /// - Returns: the closest of `known`, the first one when several are equally close, or nil when none is close.
    package static func of(_ name: String, in known: [String]) -> String? {
        var best: (name: String, distance: Int)?
        for candidate in known {
            let distance = distance(name, candidate)
            if distance < (best?.distance ?? .max) { best = (candidate, distance) }
        }
        guard let best, best.distance <= max(2, max(name.count, best.name.count) / 3), best.distance < best.name.count
        else { return nil }
        return best.name
    }

    /// Edits from one text to the other, a swap of neighbours counting as one.
    package static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.utf8)
        let right = Array(right.utf8)
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in 0..<left.count {
            var current = [row + 1]
            for column in 0..<right.count {
                var edits = min(
                    last[column + 1] + 1, current[column] + 1, last[column] + (left[row] == right[column] ? 0 : 1))
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    edits = min(edits, beforeLast[column - 1] + 1)
                }
                current.append(edits)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
