// Which layer holds, where a value came from, what is refused, and what the digest depends on.

import Engine
import Foundation
import Sluice
import Testing

private func flag(_ name: String, _ text: String) -> Settings.Flag {
    Settings.Flag(name: name, text: text, spelled: "--" + name)
}

private func file(_ lines: (String, String)...) -> ConfFile {
    ConfFile(
        path: "conf/sluice.yaml",
        lines: lines.enumerated().map { ConfFile.Line(name: $1.0, text: $1.1, number: $0 + 1) })
}

@Suite struct `The settings` {
    @Test func `come from the strongest layer, and say which`() throws {
        let layers: [(String, () throws -> Settings)] = [
            (
                "9s flag --lateness",
                {
                    try Settings.resolve(
                        flags: [flag("lateness", "8s"), flag("lateness", "9s")], environment: ["SLUICE_LATENESS": "7s"],
                        file: file(("lateness", "6s")), jobDefaults: ["lateness": "5s"])
                }
            ),
            (
                "7s variable SLUICE_LATENESS",
                {
                    try Settings.resolve(
                        environment: ["SLUICE_LATENESS": "7s"], file: file(("lateness", "6s")),
                        jobDefaults: ["lateness": "5s"])
                }
            ),
            (
                "6s conf/sluice.yaml, line 1",
                {
                    try Settings.resolve(file: file(("lateness", "6s")), jobDefaults: ["lateness": "5s"])
                }
            ),
            (
                "6s conf/sluice.yaml, line 1",
                {
                    try Settings.resolve(environment: ["SLUICE_LATENESS": ""], file: file(("lateness", "6s")))
                }
            ),
            ("5s default of the job", { try Settings.resolve(jobDefaults: ["lateness": "5s"]) }),
            ("10s default", { try Settings.resolve() }),
        ]
        for (expected, resolve) in layers {
            let settings = try resolve()
            #expect(
                "\(settings.optionalText(.lateness) ?? "") \(settings.origin(of: .lateness)?.description ?? "")"
                    == expected)
        }
    }

    @Test func `have the values that their types say`() throws {
        let settings = try Settings.resolve(flags: [flag("interval", "2s"), flag("max_rejected_share", "0.25")])
        #expect(settings.millis(.interval) == 2000)
        #expect(settings.bytes(.fetchBudget) == 14 << 20)
        #expect(settings.integer(.maxRejectedMin) == 100)
        #expect(settings.share(.maxRejectedShare) == 0.25)
        #expect(settings.text(.format) == "avro")
        #expect(settings.optionalText(.bootstrap) == nil)
        let missing = try failure { _ = try settings.required(.bootstrap) }
        #expect(missing.now.contains("--bootstrap HOST:PORT"))
    }

    @Test(arguments: [("500ms", Int64(500)), ("0", 5), ("7s", 7000)])
    func `poll at the interval unless told otherwise`(_ interval: String, _ pollMillis: Int64) throws {
        #expect(try Settings.resolve(flags: [flag("interval", interval)]).millis(.poll) == pollMillis)
        #expect(try Settings.resolve(flags: [flag("interval", interval), flag("poll", "9ms")]).millis(.poll) == 9)
    }

    @Test(arguments: [
        ("sqlite:.sluice/catalog.db", "file:.sluice/state"), ("sqlite:/var/x/c.db", "file:/var/x/state"),
        ("sqlite:c.db", "file:state"), ("postgres://h/d", "file:.sluice/state"),
    ])
    func `keep the state beside the catalog`(_ catalog: String, _ state: String) throws {
        #expect(try Settings.resolve(flags: [flag("catalog", catalog)]).text(.state) == state)
    }

    @Test(arguments: [
        ("latenes", "lateness"), ("max-batch-records", "max_batch_records"), ("Interval", "interval"),
    ])
    func `that nobody knows are refused with the nearest known, in every layer`(_ name: String, _ nearest: String)
        throws
    {
        let variable = "SLUICE_" + name.uppercased()
        let refusals = [
            try failure { _ = try Settings.resolve(flags: [flag(name, "1")]) },
            try failure { _ = try Settings.resolve(file: file(("topic", "t"), (name, "1"))) },
        ]
        #expect(refusals[1].why.contains("conf/sluice.yaml, line 2"))
        for refusal in refusals {
            #expect(refusal.code == .unknownSetting)
            #expect(refusal.now.contains("did you mean \(nearest)?"))
        }
        if name == "latenes" {
            let refusal = try failure { _ = try Settings.resolve(environment: [variable: "1"]) }
            #expect(refusal.now.contains("did you mean SLUICE_LATENESS?"))
        }
    }

    @Test func `of a wrong type are refused even where a stronger layer hides them`() throws {
        let refusal = try failure {
            _ = try Settings.resolve(flags: [flag("interval", "1s")], file: file(("interval", "fast")))
        }
        #expect(refusal.code == .invalidSetting)
        #expect(refusal.what == "interval cannot be 'fast'")
        #expect(refusal.why.hasPrefix("conf/sluice.yaml, line 1 says so, and it must be a length of time"))
        #expect(refusal.now.contains("500ms"))
    }

    @Test func `ignore variables that are none`() throws {
        let settings = try Settings.resolve(environment: [
            "PATH": "x", "SLUICE_CONF": "f", "SLUICE_SECRET": "s", "SLUICE_TEST_ANYTHING": "1",
        ])
        #expect(settings.digest == (try Settings.resolve().digest))
    }

    @Test func `of librdkafka come by every way under its own names`() throws {
        let settings = try Settings.resolve(
            flags: [flag("kafka.fetch.wait.max.ms", "5")], environment: ["SLUICE_KAFKA__SOCKET_TIMEOUT_MS": "7"],
            file: file(("kafka.fetch.min.bytes", "1")))
        #expect(
            settings.kafkaProperties == ["fetch.wait.max.ms": "5", "socket.timeout.ms": "7", "fetch.min.bytes": "1"])
        #expect(settings["kafka.socket.timeout.ms"]?.key.variable == "SLUICE_KAFKA__SOCKET_TIMEOUT_MS")
    }

    @Test(arguments: [
        "kafka.auto.offset.reset", "kafka.bootstrap.servers", "kafka.enable.auto.commit", "kafka.isolation.level",
    ])
    func `that the engine fixes for librdkafka are refused`(_ name: String) throws {
        #expect(try failure { _ = try Settings.resolve(flags: [flag(name, "x")]) }.code == .invalidSetting)
    }

    @Test func `that a job brings are known, and others of that name are not`() throws {
        let settings = try Settings.resolve(flags: [flag("threshold", "9")], jobDefaults: ["threshold": "3"])
        #expect(settings.texts["threshold"] == "9")
        #expect(throws: Failure.self) { try Settings.resolve(flags: [flag("threshold", "9")]) }
    }

    @Test(arguments: [
        ("sink", "postgres://me:hush@h/d"), ("catalog", "postgres://h/d?password=hush"),
        ("kafka.sasl.password", "hush"),
    ])
    func `with a secret are refused as flags, taken from variables, and never shown`(_ name: String, _ text: String)
        throws
    {
        let refusal = try failure { _ = try Settings.resolve(flags: [flag(name, text)]) }
        #expect(refusal.code == .notAllowed)
        #expect(!refusal.description.contains("hush"))

        let variable = try #require(SettingTable.engine[name]).variable
        let settings = try Settings.resolve(environment: [variable: text])
        #expect(settings[name]?.text == text)
        #expect(!settings.printed.lines.joined().contains("hush"))
        #expect(!settings.recordable.values.joined().contains("hush"))
        #expect(settings.printed.lines.joined().contains("***"))
    }

    @Test func `may hold a secret as the path of a file`() throws {
        let path = NSTemporaryDirectory() + "/sluice-secret-\(UUID().uuidString)"
        try "hush\n".write(toFile: path, atomically: true, encoding: .utf8)
        defer { unlink(path) }
        let settings = try Settings.resolve(flags: [flag("kafka.sasl.password", "file:" + path)])
        #expect(try SettingsSource.kafkaProperties(settings) == ["sasl.password": "hush"])
        unlink(path)
        #expect(try failure { _ = try SettingsSource.kafkaProperties(settings) }.code == .fileMissing)
    }

    @Test func `are printed with where they came from`() throws {
        let settings = try Settings.resolve(flags: [flag("workers", "2")], environment: ["SLUICE_TOPIC": "ads"])
        let lines = settings.printed.lines
        #expect(lines.contains { $0.hasPrefix("workers ") && $0.contains(" 2 ") && $0.hasSuffix("flag --workers") })
        #expect(lines.contains { $0.hasPrefix("topic ") && $0.hasSuffix("variable SLUICE_TOPIC") })
        #expect(lines.contains { $0.hasPrefix("interval ") && $0.hasSuffix("default") })
    }

    @Test(arguments: SettingTable.engine.keys.filter { $0 != .kafka }.map(\.name))
    func `change their digest exactly when they change rows`(_ name: String) throws {
        let key = try #require(SettingTable.engine[name])
        let other: [SettingType: String] = [
            .file: "other.file", .startPoint: "latest", .share: "0.75", .text: "other", .boolean: "no",
        ]
        let text =
            switch key.type {
            case .integer, .size: "2097152"
            case .duration: "77s"
            case .choice(let choices): choices.last { $0 != key.fallback } ?? ""
            case .address(let schemes): schemes[0] + "://other"
            case .hostPort: "other:1"
            default: other[key.type] ?? ""
            }
        let fitting = [text, "7"].first { key.type.parse($0) != nil } ?? ""
        // How a topic's rows are written matters to a topic only.
        let isOfTopics = [SettingKey.sinkFormat, .sinkSchemaID].contains(key)
        let topic = isOfTopics ? [flag("sink", "kafka:out")] : []
        let changed = try Settings.resolve(flags: topic + [flag(name, fitting)]).digest
        let unchanged = try Settings.resolve(flags: topic).digest
        #expect((changed != unchanged) == (key.kind == .result))
        if isOfTopics { #expect(try Settings.resolve(flags: [flag(name, fitting)]).digest == Settings.resolve().digest) }
    }

    @Test func `have the same digest in another wording, from another layer, and with another password`() throws {
        let one = try Settings.resolve(
            flags: [flag("lateness", "20s")], environment: ["SLUICE_SINK": "postgres://me:a@h/d"])
        let two = try Settings.resolve(
            environment: ["SLUICE_SINK": "postgres://me:b@h/d"], file: file(("lateness", "20000ms")))
        #expect(one.digest == two.digest)
        // Written down in the logs of jobs: another way to make it would stop them all.
        #expect(
            try Settings.resolve(table: SettingTable([.lateness, .format, .workers])).digest
                == digest(of: "format=avro\nlateness=10000\n"))
    }

    @Test(arguments: [("", "99aa06d3014798d86001c324468d497f"), ("abc", "06b05ab6733a618578af5f94892f3950")])
    func `are digested by XXH3 with 128 bits`(_ text: String, _ known: String) {
        #expect(digest(of: text) == known)
    }
}
