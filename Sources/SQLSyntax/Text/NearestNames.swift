// Which known names a mistaken one may have meant.

/// Up to three of the names, nearest first; none that is too far away to have been meant.
package func nearestNames(to name: String, among names: some Sequence<String>) -> [String] {
    let wanted = Array(name.lowercased())
    let most = max(1, wanted.count / 3)
    let near = names.compactMap { candidate -> (distance: Int, name: String)? in
        let distance = editDistance(wanted, Array(candidate.lowercased()))
        let isPart = wanted.count >= 3 && candidate.lowercased().contains(name.lowercased())
        return distance <= most ? (distance, candidate) : isPart ? (most + 1, candidate) : nil
    }
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
private func editDistance(_ left: [Character], _ right: [Character]) -> Int {
    var rows = [Array(0...right.count)]
    for i in left.indices {
        var row = [i + 1]
        for j in right.indices {
            var best = min(rows[i][j] + (left[i] == right[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { best = min(best, rows[i - 1][j - 1] + 1) }
            row.append(best)
        }
        rows.append(row)
    }
    return rows[left.count][right.count]
}
