import Engine
import Foundation
import TestSupport
import Testing

/// A driver and its workers over TLS, by certificates alone and with the secret, and who is refused.
@Suite(.waits, .serialized) struct AccessTests {
    private static let made = Result { try TestCertificates() }
    private let files: TestCertificates

    init() throws { files = try Self.made.get() }

    /// The settings of a process that knows `authorities` and shows `certificate`.
    private func tls(_ certificate: String? = "host", authorities: String? = "ca") -> [String] {
        (certificate.map { ["--tls-cert", files.file($0 + ".pem"), "--tls-key", files.file($0 + ".key")] } ?? [])
            + (authorities.map { ["--tls-ca", files.file($0 + ".pem")] } ?? [])
    }

    private func driver(_ harness: JobHarness, _ flags: [String]) throws -> (process: SluiceProcess, url: String) {
        let process = try SluiceProcess(["driver", "--listen", "127.0.0.1:0"] + flags, in: harness.directory.path)
        var url: String?
        _ = SluiceProcess.eventually {
            url = process.output.split(whereSeparator: { $0 == " " || $0 == "," }).first { $0.hasPrefix("http") }.map(String.init)
            return url != nil
        }
        return (process, try #require(url, "the driver did not start: \(process.errors)"))
    }

    /// A directory without the secret, as another host would be.
    private func elsewhere(_ harness: JobHarness) throws -> String {
        let path = harness.directory.file("elsewhere")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    @Test func `a driver and two workers over mutual TLS give the exact answer without carrying a secret`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 30_000)
        let (driver, url) = try driver(harness, tls())
        #expect(url.hasPrefix("https://127.0.0.1:"))
        let other = try elsewhere(harness)
        let workers = try (0..<2).map { _ in
            try SluiceProcess(["worker", "--driver", url, "--slots", "1"] + tls(), in: other)
        }
        #expect(SluiceProcess.eventually { workers.allSatisfy { $0.errors.contains("registered") } }, "\(workers.map(\.errors))")
        #expect(workers.allSatisfy { $0.errors.contains("url=https://") || $0.errors.contains("https://127.0.0.1") })
        let submitted = try SluiceProcess.run(
            ["submit", "campaign-views", "--driver", url, "--set", "bootstrap=\(harness.bootstrap)", "--set", "topic=\(harness.topic)"]
                + ["--set", "sink=\(harness.sink)", "--set", "max_batch_records=6000", "--set", "interval=0"]
                + ["--set", "ads=\(harness.directory.file("ads.csv"))"] + tls(), in: other)
        #expect(submitted.status == 0, "\(submitted.errors)")
        func lag() throws -> Int? {
            let shown = try SluiceProcess.run(["jobs", "show", "campaign-views", "--driver", url, "--json"] + tls(), in: other)
            let object = try JSONSerialization.jsonObject(with: Data(shown.output.utf8)) as? [String: Any]
            return object?["last_batch"] == nil ? nil : object?["lag_offsets"] as? Int
        }
        #expect(try SluiceProcess.eventually { try lag() == 0 }, "\(driver.errors)\(workers.map(\.errors))")
        try harness.expectExact()
        for worker in workers { worker.terminate() }
        for worker in workers { #expect(worker.wait().status == 0) }
        driver.terminate()
        #expect(driver.wait().status == 0)
    }

    @Test func `run with TLS files gives the exact answer, and its workers have no key in their arguments`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        let process = try harness.start(workers: 2, untilCaughtUp: false, extra: tls() + ["--max-batch-records", "4000", "--interval", "0"])
        #expect(SluiceProcess.eventually { process.output.contains("batch 5 ") }, "\(process.errors)")
        let key = try files.text("host.key").split(separator: "\n")[1]
        let children = process.children
        #expect(children.count == 2)
        for child in children {
            let arguments = try String(contentsOfFile: "/proc/\(child)/cmdline", encoding: .utf8)
            #expect(arguments.contains("https://127.0.0.1") && !arguments.contains(key) && !arguments.contains("PRIVATE"))
        }
        process.terminate()
        #expect(process.wait().status == 0)
        try harness.expectExact()
    }

    @Test func `run with a certificate for another host says so at once`() throws {
        let harness = try JobHarness()
        let result = try harness.run(workers: 1, extra: tls("elsewhere"), expecting: 1)
        #expect(result.errors.contains("--tls-ca"), "\(result.errors)")
    }

    struct Visitor: Sendable, CustomTestStringConvertible {
        var flags: [String]
        var certificate: String?
        var authorities: String?
        var words: String
        var testDescription: String { words }
    }

    @Test(arguments: [
        Visitor(flags: [], certificate: nil, authorities: "ca", words: "no secret was found"),
        Visitor(flags: ["--secret-file", "wrong"], certificate: nil, authorities: "ca", words: "without the secret of this cluster and without a certificate"),
        Visitor(flags: [], certificate: "stranger", authorities: "ca", words: "without the secret of this cluster and without a certificate"),
        Visitor(flags: [], certificate: "host", authorities: "other-ca", words: "got no answer"),
        Visitor(flags: ["--secret-file", "wrong"], certificate: "host", authorities: nil, words: "got no answer"),
    ])
    func `who shows neither secret nor certificate, or does not know the driver's, gets nothing`(_ visitor: Visitor) throws {
        let harness = try JobHarness()
        let (driver, url) = try driver(harness, tls())
        let other = try elsewhere(harness)
        _ = FileManager.default.createFile(
            atPath: other + "/wrong", contents: Data("0123456789abcdef0123456789abcdef\n".utf8), attributes: [.posixPermissions: 0o600])
        for command in [["jobs"], ["worker"]] {
            let result = try SluiceProcess.run(
                command + ["--driver", url] + visitor.flags + tls(visitor.certificate, authorities: visitor.authorities), in: other)
            #expect(result.status == 1)
            #expect(result.errors.contains(visitor.words), "\(command): \(result.errors)")
        }
        driver.terminate()
        #expect(driver.wait().status == 0)
    }

    @Test func `listening beyond loopback takes a named secret or TLS files`() throws {
        let harness = try JobHarness()
        for command in [["driver", "--listen", "0.0.0.0:0"], ["worker", "--worker-listen", "0.0.0.0:0"]] {
            let refused = try SluiceProcess.run(command, in: harness.directory.path)
            #expect(refused.status == 1 && refused.errors.contains("listening on 0.0.0.0 is refused"), "\(refused.errors)")
            let half = try SluiceProcess.run(command + ["--tls-cert", files.file("host.pem")], in: harness.directory.path)
            #expect(half.status == 1, "\(half.errors)")
        }
        let process = try SluiceProcess(["driver", "--listen", "0.0.0.0:0"] + tls(), in: harness.directory.path)
        #expect(SluiceProcess.eventually { process.output.contains("driver listens on https://\(ProcessInfo.processInfo.hostName):") }, "\(process.errors)")
        process.terminate()
        #expect(process.wait().status == 0)
    }

    @Test func `TLS files that are of no use are named before anything listens`() throws {
        let harness = try JobHarness()
        let open = harness.directory.file("open.key")
        try FileManager.default.copyItem(atPath: files.file("host.key"), toPath: open)
        #expect(chmod(open, 0o644) == 0)
        let cases: [([String], String)] = [
            (["--tls-cert", files.file("host.pem")], "tls_key is not set"),
            (["--tls-key", files.file("host.key")], "tls_cert is not set"),
            (["--tls-cert", "none.pem", "--tls-key", files.file("host.key")], "none.pem"),
            (["--tls-cert", files.file("host.pem"), "--tls-key", open], "chmod 600"),
            (["--tls-cert", files.file("host.csr"), "--tls-key", files.file("host.key")], "cannot start with TLS"),
            (["--tls-cert", files.file("host.ext"), "--tls-key", files.file("host.key")], "is not PEM"),
        ]
        for (flags, words) in cases {
            let result = try SluiceProcess.run(["driver", "--listen", "127.0.0.1:0"] + flags, in: harness.directory.path)
            #expect(result.status != 0 && result.errors.contains(words), "\(flags): \(result.errors)")
            #expect(result.errors.contains("  now: "))
        }
    }
}
