// The configuration file: what is read out of it, what is refused with its line, and that the shipped one is right.

import Engine
import Foundation
import Sluice
import Testing

@Suite struct `A configuration file` {
    private func lines(_ text: String) throws -> [String] {
        try ConfFile.parse(Array(text.utf8), path: "f.yaml").map { "\($0.number) \($0.name)=\($0.text)" }
    }

    @Test(arguments: [
        ("", []),
        ("# nothing\n", []),
        ("topic: ads\ninterval: 1s\n", ["1 topic=ads", "2 interval=1s"]),
        (
            "kafka:\n  fetch.min.bytes: 1\n  ssl:\n    ca.location: x\ntopic: t\n",
            ["2 kafka.fetch.min.bytes=1", "4 kafka.ssl.ca.location=x", "5 topic=t"]
        ),
        ("a: no\nb: 1e3\nc: 'it''s'\nd: \"\"\n", ["1 a=no", "2 b=1e3", "3 c=it's", "4 d="]),
        ("{sink: 'console:', workers: 2}\n", ["1 sink=console:", "1 workers=2"]),
        ("---\ntopic: ads # said why\n", ["2 topic=ads"]),
        ("---\n{}\n", []),
    ])
    func `gives names with dots, texts as they stand, and lines`(_ text: String, _ expected: [String]) throws {
        #expect(try lines(text) == expected)
    }

    @Test(arguments: [
        ("topic: ads\n\tinterval: 1s\n", 2, "tab"),
        ("topic: [a, b]\n", 1, "a list"),
        ("topic: ads\ninterval: 1s\ntopic: b\n", 3, "set twice, in line 1"),
        ("topic: ads\ninterval:\n", 2, "has no value"),
        ("topic: ~\n", 1, "has no value"),
        ("a: &x 1\n", 1, "anchor"),
        ("a: 1\nb: *x\n", 2, "an alias"),
        ("topic: a\n---\ntopic: b\n", 2, "second document"),
        ("just words\n", 1, "name: value"),
        ("? {a: 1}\n: 2\n", 1, "a map cannot be a name"),
        ("'': 1\n", 1, "a name is missing"),
        ("a: \"open\n", 2, "end of stream"),
    ])
    func `that says what no setting can mean is refused with the line`(_ text: String, _ line: Int, _ why: String)
        throws
    {
        let refusal = try failure { _ = try lines(text) }
        #expect(refusal.code == .fileInvalid)
        #expect(refusal.what.contains("f.yaml"))
        #expect(refusal.why.hasPrefix("line \(line): "), "\(refusal.why)")
        #expect(refusal.why.contains(why), "\(refusal.why)")
    }

    @Test func `in the repository is what the table of settings says`() throws {
        let path = Self.shipped
        let text = try String(contentsOf: path, encoding: .utf8)
        #expect(text == ConfText.render(), "print it again: sluice settings --yaml > conf/sluice.yaml")
        #expect(try lines(text) == [])
    }

    @Test func `with every line uncommented holds the defaults`() throws {
        let text = ConfText.render().split(separator: "\n").compactMap { line -> String? in
            let body = line.dropFirst(2)
            let name = body.prefix { $0 != ":" }
            let isSetting =
                SettingTable.engine[String(name)]?.fallback != nil && body.dropFirst(name.count).hasPrefix(": ")
            return line.hasPrefix("# ") && isSetting ? String(body) : nil
        }.joined(separator: "\n")
        let file = ConfFile(path: "f.yaml", lines: try ConfFile.parse(Array(text.utf8), path: "f.yaml"))
        #expect(file.lines.count == SettingTable.engine.keys.filter { $0.fallback != nil }.count)
        #expect(try Settings.resolve(file: file).digest == Settings.resolve().digest)
    }

    @Test func `that is named must be there`() throws {
        let refusal = try failure { _ = try SettingsSource.load(flags: [], confPath: "no/such.yaml", environment: [:]) }
        #expect(refusal.code == .fileMissing)
        let named = try failure {
            _ = try SettingsSource.load(flags: [], confPath: nil, environment: ["SLUICE_CONF": "no/such.yaml"])
        }
        #expect(named.what.contains("no/such.yaml"))
    }

    @Test func `that is named is read`() throws {
        let path = NSTemporaryDirectory() + "/sluice-conf-\(UUID().uuidString).yaml"
        try "lateness: 3s\n".write(toFile: path, atomically: true, encoding: .utf8)
        defer { unlink(path) }
        let settings = try SettingsSource.load(flags: [], confPath: path, environment: ["SLUICE_CONF": "no/such.yaml"])
        #expect(settings.millis(.lateness) == 3000)
        #expect(settings.origin(of: .lateness) == .file(path: path, line: 1))
    }

    private static let shipped = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "conf/sluice.yaml")
}
