// `conf/sluice.yaml` as text: every key with what it is, its default and the reason, commented out.
//
// Written from the table alone, so that the file in the repository can be compared with it and never lies.

package enum ConfText {
    private static let width = 100

    package static func render(_ table: SettingTable = .engine) -> String {
        var lines = comment(
            "Settings of sluice. Read from conf/sluice.yaml under the current directory, or from the file that --conf or "
                + "\(SettingsSource.fileVariable) names.")
        lines += comment("Stronger than this file: variables such as SLUICE_INTERVAL, then flags such as --interval.")
        lines += comment(
            "Every line is commented out and shows the default. Times take ms, s, m, h, d; sizes take KiB, MiB, GiB.")
        for section in SettingKey.Section.allCases {
            let keys = table.keys.filter { $0.section == section }
            if keys.isEmpty { continue }
            lines += ["", "# ---- \(section.rawValue) ----"]
            for key in keys { lines += [""] + render(key) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func render(_ key: SettingKey) -> [String] {
        let head = key.what.prefix(1).uppercased() + key.what.dropFirst()
        var lines = comment(head + ".") + comment(key.why)
        lines += comment("Type: \(key.type.word)\(choices(of: key)). Default: \(key.fallbackText).")
        if key == .kafka { return lines + ["# kafka:", "#   fetch.min.bytes: 1"] }
        return lines + ["# \(key.name):" + (key.fallback.map { " " + $0 } ?? "")]
    }

    private static func choices(of key: SettingKey) -> String {
        guard case .choice(let choices) = key.type else { return "" }
        return " of " + choices.joined(separator: ", ")
    }

    private static func comment(_ text: String) -> [String] {
        wrapped(text, width: width - 2).map { "# " + $0 }
    }
}

/// `text` in lines of at most `width` characters, broken at spaces; a longer word stands alone.
func wrapped(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
        if !line.isEmpty, line.count + 1 + word.count > width {
            lines.append(line)
            line = ""
        }
        line += (line.isEmpty ? "" : " ") + word
    }
    return line.isEmpty ? lines : lines + [line]
}
