// A few lines of status that stand at the bottom of a terminal while other lines go past above them.
//
// Pure: it remembers how many lines it has drawn and gives the bytes that a terminal needs. Lines are cut to the width,
// because a line that wraps would take two rows and the next redraw would leave one of them behind. `Terminal` owns the
// one block there is, and never draws it into a pipe.

struct LiveBlock: Sendable {
    private(set) var lines: [String] = []
    private var drawnRows = 0

    /// Draws `lines` in place of what stands there.
    mutating func redraw(_ lines: [String], width: Int) -> String {
        let erased = erase()
        self.lines = lines
        drawnRows = lines.count
        return erased + lines.map { Self.cut($0, width: width) + "\n" }.joined()
    }

    /// Writes `line` above the block.
    mutating func insert(_ line: String, width: Int) -> String {
        let erased = erase()
        drawnRows = lines.count
        return erased + line + "\n" + lines.map { Self.cut($0, width: width) + "\n" }.joined()
    }

    /// Takes the block away, or leaves what stands there as ordinary lines.
    mutating func end(isKept: Bool) -> String {
        let erased = isKept ? "" : erase()
        lines = []
        drawnRows = 0
        return erased
    }

    private mutating func erase() -> String {
        defer { drawnRows = 0 }
        // Up to the block's first row, to its first column, and clear from there.
        return drawnRows == 0 ? "" : "\u{1B}[\(drawnRows)A\r\u{1B}[J"
    }

    private static func cut(_ line: String, width: Int) -> String {
        line.count < width ? line : String(line.prefix(max(0, width - 1)))
    }
}
