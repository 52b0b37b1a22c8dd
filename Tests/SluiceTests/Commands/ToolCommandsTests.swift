// `doctor`, `new` and `broker`, as far as they run inside one process.

import Engine
import Foundation
import Sluice
import TestSupport
import Testing

@Suite struct ToolCommandsTests {
    @Test func `doctor names every library that is loaded`() throws {
        let job = try JobCatalog()
        let checks = try objects(job.sluice("doctor", "--json").output)
        let libraries = ["librdkafka", "SQLite", "libpq", "libavro", "zstd", "libmicrohttpd", "libcurl"]
        for library in libraries {
            let check = try #require(checks.first { $0["check"] as? String == library })
            let detail = try #require(check["detail"] as? String)
            #expect(detail.first?.isNumber == true && detail.contains("/lib"), "\(library) \(detail)")
        }
    }

    @Test func `doctor fails when the broker does not answer, and goes on`() throws {
        let job = try JobCatalog()
        let shown = job.sluice("doctor", "--bootstrap", "127.0.0.1:1")
        #expect(shown.status == 1)
        #expect(shown.output.contains("fail  broker"))
        #expect(shown.output.contains("now: "))
        #expect(shown.output.contains("ok    catalog"))
    }

    @Test func `doctor without a broker passes and says what it skipped`() throws {
        let job = try JobCatalog()
        let shown = job.sluice("doctor")
        #expect(shown.status == 0)
        #expect(shown.output.contains("skip  broker"))
    }

    @Test func `doctor looks at a broker and at the topics of the catalog's jobs`() throws {
        let broker = try EmbeddedBroker(topics: [("events", 3)])
        let job = try JobCatalog()
        let shown = job.sluice("doctor", "--bootstrap", broker.bootstrap)
        #expect(shown.output.contains("3 partitions, 0 offsets"))
        #expect(shown.output.contains("1 broker (\(broker.bootstrap))"))
        #expect(shown.output.contains("an embedded broker, good for a try only"))
        let missing = job.sluice("doctor", "--bootstrap", broker.bootstrap, "--topic", "no-such-topic")
        #expect(missing.output.contains("no-such-topic"))
    }

    @Test func `doctor fails on a secret that others can read`() throws {
        let job = try JobCatalog()
        let secret = job.directory.file("secret")
        try writeSecret("0123456789abcdef", to: secret, mode: 0o644)
        let shown = job.sluice("doctor")
        #expect(shown.status == 1)
        #expect(shown.output.contains("chmod 600 \(secret)"))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: secret)
        #expect(job.sluice("doctor").status == 0)
    }

    @Test func `doctor tells what a driver would say of its certificates`() throws {
        let job = try JobCatalog()
        let certificates = try TestCertificates()
        let named = ["--tls-cert", certificates.file("host.pem"), "--tls-key", certificates.file("host.key")]
        #expect(!job.sluice("doctor").output.contains("TLS"))
        #expect(job.sluice(["doctor"] + named).output.contains("servers speak HTTPS"))
        let mutual = job.sluice(["doctor"] + named + ["--tls-ca", certificates.file("ca.pem")])
        #expect(mutual.status == 0)
        #expect(mutual.output.contains("both sides prove themselves"))
        let alone = job.sluice(["doctor"] + named.prefix(2))
        #expect(alone.status == 1)
        #expect(alone.output.contains("tls_cert is of no use alone"))
        let missing = job.sluice("doctor", "--tls-ca", certificates.file("nobody.pem"))
        #expect(missing.status == 1)
        #expect(missing.output.contains("is not there, or not for this user"))
    }

    @Test(arguments: ["my-job", "a", "clicks2", "a-b-c"])
    func `a new package holds a job of that name`(name: String) throws {
        let package = try NewPackage(name: name, sluicePath: "/opt/sluice")
        let texts = Dictionary(uniqueKeysWithValues: package.files.map { ($0.path, $0.text) })
        #expect(texts["Package.swift"]?.contains("let sluice = \"/opt/sluice\"") == true)
        #expect(texts["Sources/\(name)/main.swift"]?.contains("SluiceProgram.main(jobs: [\(package.typeName)()])") == true)
        #expect(texts["Sources/\(name)/\(package.typeName).swift"]?.contains("let name = \"\(name)\"") == true)
        #expect(texts["README.md"] != nil)
        #expect(package.typeName.first?.isUppercase == true && !package.typeName.contains("-"))
    }

    @Test(arguments: ["", "My-Job", "-job", "job-", "a--b", "1st", "../x", "a b", "sluice", "main", "ä"])
    func `a name that cannot be a package is refused`(name: String) throws {
        let failure = try failure { _ = try NewPackage(name: name, sluicePath: "/opt/sluice") }
        #expect(failure.code == .wrongUsage)
    }

    @Test func `a path with quotes stays one text in the manifest`() throws {
        let package = try NewPackage(name: "my-job", sluicePath: "/opt/a \"b\"\\c")
        #expect(package.files[0].text.contains(#"let sluice = "/opt/a \"b\"\\c""#))
    }

    @Test func `new refuses a folder that is not sluice's package`() throws {
        let directory = try TemporaryDirectory("new")
        let captured = Captured(width: 200)
        let program = Program(commands: SluiceProgram.commands(JobDefinitions([])))
        let status = program.main(["new", "my-job", "--sluice", directory.file("nothing")], terminal: captured.terminal)
        #expect(status == 1)
        #expect(captured.errorText.contains("is not sluice's package"))
    }

    @Test(arguments: ["ad-events:0", "ad-events:x", ":4", "a:b:c", "ad-events:"])
    func `broker refuses a topic that is none`(topic: String) throws {
        let captured = Captured(width: 200)
        let program = Program(commands: SluiceProgram.commands(JobDefinitions([])))
        #expect(program.main(["broker", "--topic", topic], terminal: captured.terminal) == 2)
        #expect(captured.errorText.contains("NAME:PARTITIONS"))
    }

    @Test func `every command has an example that its own declaration can parse`() throws {
        let commands = SluiceProgram.commands(JobDefinitions([]))
        #expect(Set(commands.map(\.name)).count == commands.count)
        for command in commands {
            #expect(!command.examples.isEmpty, "\(command.name)")
            for example in command.examples {
                let words = example.line.split(separator: " ").map(String.init)
                #expect(words.starts(with: ["sluice"] + command.name.split(separator: " ").map(String.init)) || example.line.contains("$("))
            }
        }
    }
}
