// Rows of text in aligned columns. Pure: lines come out, `Terminal` writes them.

import Engine

package struct Table: Sendable {
    package struct Column: Sendable {
        package var title: String
        package var isNumber: Bool

        package static func text(_ title: String) -> Column { Column(title: title, isNumber: false) }
        /// Right-aligned.
        package static func number(_ title: String) -> Column { Column(title: title, isNumber: true) }
    }

    package let columns: [Column]
    private var rows: [[String]] = []

    package init(_ columns: [Column]) { self.columns = columns }

    package mutating func add(_ cells: [String]) {
        precondition(cells.count == columns.count, "a row of \(cells.count) cells in \(columns.count) columns")
        // A cell is as wide as it is shown.
        rows.append(cells.map { PlainText.of($0) })
    }

    /// A line of titles and one for each row, without spaces at their ends.
    package var lines: [String] {
        let titles = columns.map(\.title)
        let widths = columns.indices.map { column in ([titles] + rows).map { $0[column].count }.max() ?? 0 }
        return ([titles] + rows).map { cells in
            var line = ""
            for (column, cell) in cells.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                line += (column == 0 ? "" : "  ") + (columns[column].isNumber ? padding + cell : cell + padding)
            }
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }
}

/// `1234567` as `1,234,567`, for people.
package func grouped(_ value: Int64) -> String {
    var groups: [String] = []
    var rest = value.magnitude
    while rest >= 1000 {
        let digits = String(rest % 1000)
        groups.append(String(repeating: "0", count: 3 - digits.count) + digits)
        rest /= 1000
    }
    groups.append(String(rest))
    return (value < 0 ? "-" : "") + groups.reversed().joined(separator: ",")
}
