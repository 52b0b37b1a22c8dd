// What each type of setting takes, what it makes of it, and which name is meant by a slip.

import Engine
import Sluice
import Testing
import Wording

@Suite struct `A type of setting` {
    struct Case: Sendable, CustomTestStringConvertible {
        var type: SettingType
        var text: String
        /// nil where the text is refused.
        var canonical: String?
        var testDescription: String { "\(type.word) '\(text)'" }

        init(_ type: SettingType, _ text: String, _ canonical: String?) {
            self.type = type
            self.text = text
            self.canonical = canonical
        }
    }

    static let sink = SettingType.address(["sqlite", "postgres", "console"])

    @Test(arguments: [
        Case(.schemaFiles, "1=a.avsc,2=b.avsc", "1=a.avsc,2=b.avsc"), Case(.schemaFiles, "a=b.avsc", "a=b.avsc"), Case(.schemaFiles, "", nil),
        Case(.text, "a b", "a b"), Case(.text, "", nil), Case(.file, "x/y.csv", "x/y.csv"), Case(.file, "", nil),
        Case(.integer(1...10), "7", "7"), Case(.integer(1...10), "0", nil), Case(.integer(1...10), "11", nil),
        Case(.integer(1...10), "7.5", nil), Case(.integer(1...10), "", nil),
        Case(.integer(0...Int64.max), "99999999999999999999", nil),
        Case(.share, "0.5", "0.5"), Case(.share, "1", "1.0"), Case(.share, "1.01", nil), Case(.share, "-0.1", nil),
        Case(.share, "nan", nil), Case(.share, "50%", nil),
        Case(.duration(0...86_400_000), "10s", "10000"), Case(.duration(0...86_400_000), "10000ms", "10000"),
        Case(.duration(0...86_400_000), "10000", "10000"), Case(.duration(0...86_400_000), "2h", "7200000"),
        Case(.duration(0...86_400_000), "2d", nil), Case(.duration(100...86_400_000), "0", nil),
        Case(.duration(0...86_400_000), "-1s", nil), Case(.duration(0...86_400_000), "soon", nil),
        Case(.duration(0...Int64.max), "999999999999d", nil),
        Case(.size(0...Int64.max), "64KiB", "65536"), Case(.size(0...Int64.max), "1MiB", "1048576"),
        Case(.size(0...Int64.max), "2GiB", "2147483648"), Case(.size(0...Int64.max), "512", "512"),
        Case(.size(0...Int64.max), "64KB", nil), Case(.size(0...Int64.max), "1.5MiB", nil),
        Case(.size(0...Int64.max), "9999999999999GiB", nil), Case(.size(1024...Int64.max), "1023", nil),
        Case(.boolean, "true", "yes"), Case(.boolean, "yes", "yes"), Case(.boolean, "off", "no"),
        Case(.boolean, "maybe", nil),
        Case(.choice(["avro", "json"]), "json", "json"), Case(.choice(["avro", "json"]), "JSON", nil),
        Case(sink, "sqlite:x.db", "sqlite:x.db"), Case(sink, "console:", "console:"), Case(sink, "sqlite:", nil),
        Case(sink, "x.db", nil), Case(sink, "mysql://h/d", nil), Case(sink, "postgres://h/d", "postgres://h/d"),
        Case(.hostPort(many: true), "a:9092,b:9093", "a:9092,b:9093"), Case(.hostPort(many: false), "a:1,b:2", nil),
        Case(.hostPort(many: false), "127.0.0.1:0", "127.0.0.1:0"),
        Case(.hostPort(many: false), "[::1]:7070", "[::1]:7070"),
        Case(.hostPort(many: true), "localhost", nil), Case(.hostPort(many: true), "a:9092,", nil),
        Case(.hostPort(many: true), "http://a:9092", nil), Case(.hostPort(many: true), "a:65536", nil),
        Case(.hostPort(many: true), ":9092", nil),
        Case(.startPoint, "earliest", "earliest"), Case(.startPoint, "-10m", "-10m"), Case(.startPoint, "10m", nil),
        Case(.startPoint, "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"), Case(.startPoint, "2026-03-01", nil),
        Case(.startPoint, "newest", nil),
    ])
    func `takes what fits and refuses the rest`(_ given: Case) {
        #expect(given.type.parse(given.text)?.canonical == given.canonical)
    }

    @Test(arguments: [
        (Int64(0), "0"), (512, "512"), (65_536, "64KiB"), (48 << 20, "48MiB"), (1 << 30, "1GiB"), (1025, "1025"),
    ])
    func `writes a size so that it reads it back`(_ bytes: Int64, _ text: String) {
        #expect(formatSize(bytes) == text)
        #expect(parseSize(text) == bytes)
    }

    @Test func `takes every default of its keys, and offers only choices that it takes`() {
        for key in SettingTable.engine.keys {
            if let fallback = key.fallback { #expect(key.type.parse(fallback) != nil, "\(key.name)") }
            if case .address = key.type { continue }
            for choice in key.type.choices { #expect(key.type.parse(choice) != nil, "\(key.name) \(choice)") }
        }
    }
}

@Suite struct `The nearest name` {
    @Test(arguments: [
        ("latenes", "lateness"), ("sinck", "sink"), ("intreval", "interval"), ("worker", "workers"),
        ("bootstrp", "bootstrap"),
        ("max_batch_record", "max_batch_records"), ("zzzzzzzz", nil), ("q", nil), ("frobnicate", nil),
    ])
    func `is the one with the fewest slips, or none`(_ given: String, _ meant: String?) {
        #expect(nearestNames(to: given, among: SettingTable.engine.keys.map(\.name)).first == meant)
    }

    @Test(arguments: [
        ("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("ab", "ba", 1), ("abc", "acb", 1), ("same", "same", 0),
    ])
    func `counts a swap of neighbours as one slip`(_ left: String, _ right: String, _ distance: Int) {
        #expect(editDistance(left, right) == distance)
        #expect(editDistance(right, left) == distance)
    }
}

@Suite struct `A password in an address` {
    @Test(arguments: [
        ("postgres://me:hush@host/db", "postgres://me:***@host/db", "postgres://me@host/db"),
        ("postgres://me:hu/s@h@host/db?x=1", "postgres://me:***@host/db?x=1", "postgres://me@host/db?x=1"),
        (
            "postgres://host/db?user=me&password=hush", "postgres://host/db?user=me&password=***",
            "postgres://host/db?user=me"
        ),
        ("postgres://host/db?sslpassword=hush", "postgres://host/db?sslpassword=***", "postgres://host/db"),
        ("postgres://me@host/db", "postgres://me@host/db", "postgres://me@host/db"),
        (
            "postgres://me:file%3A%2Fetc%2Fpw@host/db?password=hush", "postgres://me:file%3A%2Fetc%2Fpw@host/db?password=***",
            "postgres://me:file%3A%2Fetc%2Fpw@host/db"
        ),
        ("postgres://me:filed@host/db", "postgres://me:***@host/db", "postgres://me@host/db"),
        ("sqlite:a@b:c.db", "sqlite:a@b:c.db", "sqlite:a@b:c.db"),
        ("http://127.0.0.1:7070", "http://127.0.0.1:7070", "http://127.0.0.1:7070"),
        ("plain", "plain", "plain"),
    ])
    func `is masked and can be taken out`(_ address: String, _ masked: String, _ removed: String) {
        #expect(AddressPassword.masked(address) == masked)
        #expect(AddressPassword.removed(from: address) == removed)
        #expect(AddressPassword.isPresent(in: address) == (removed != address))
    }
}
