// Which known names a mistaken one may have meant, and how a message lists names.
//
// Nearness is the fewest single-character edits (insert, delete, replace, swap of neighbours), whatever the case. A name that is further away
// than a third of its length is no help and is not offered, unless the mistaken one is a part of it.

/// Up to three of the names, nearest first; none that is too far away to have been meant.
package func nearestNames(to name: String, among names: some Sequence<String>) -> [String] {
    let wanted = name.lowercased()
    let most = max(1, wanted.count / 3)
    return ranked(names) { candidate in
        let distance = editDistance(wanted, candidate)
        return distance <= most ? distance : wanted.count >= 3 && candidate.contains(wanted) ? most + 1 : nil
    }
}

/// Three of the names, nearest first, however far away they are: where there are too many to list them all.
package func closestNames(to name: String, among names: some Sequence<String>) -> [String] {
    ranked(names) { editDistance(name.lowercased(), $0) }
}

private func ranked(_ names: some Sequence<String>, by distance: (_ lowercased: String) -> Int?) -> [String] {
    let near = Set(names).compactMap { name in distance(name.lowercased()).map { (distance: $0, name: name) } }
    return near.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(3).map(\.name)
}

/// `did you mean "a" or "b"?`, or what there is, or that there is none.
package func nearestHint(to name: String, among names: [String], kind: String) -> String {
    let near = nearestNames(to: name, among: names)
    if !near.isEmpty { return "did you mean \(listed(near, by: "or"))?" }
    return names.isEmpty ? "there is no \(kind) to name here" : "there is \(listed(names.sorted(), by: "and", most: 12))"
}

/// `"a", "b" and "c"`, cut behind the first `most`.
package func listed(_ names: [String], by word: String, most: Int = .max) -> String {
    let quoted = names.prefix(most).map { "\"\($0)\"" }
    if names.count > most { return quoted.joined(separator: ", ") + ", ..." }
    return quoted.count < 2 ? quoted.joined() : quoted.dropLast().joined(separator: ", ") + " \(word) " + quoted[quoted.count - 1]
}

/// Insertions, removals, changes and swaps of neighbours that make one of the other.
package func editDistance(_ left: String, _ right: String) -> Int {
    let (left, right) = (Array(left), Array(right))
    var (beforeLast, last) = ([Int](), Array(0...right.count))
    for i in left.indices {
        var row = [i + 1]
        for j in right.indices {
            var best = min(last[j] + (left[i] == right[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { best = min(best, beforeLast[j - 1] + 1) }
            row.append(best)
        }
        (beforeLast, last) = (last, row)
    }
    return last[right.count]
}
