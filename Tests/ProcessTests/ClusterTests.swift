import Engine
import Foundation
import TestSupport
import Testing

/// A standing driver, workers that come and go, and jobs submitted to it.
@Suite(.waits, .serialized) struct ClusterTests {
    @Test func `a submitted job runs on workers that join and leave`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        let cluster = try Cluster(harness)
        let first = try cluster.worker()
        _ = try cluster.submit()
        #expect(try SluiceProcess.eventually { try cluster.lag() == 0 }, "\(cluster.driver.errors)")
        let second = try cluster.worker()
        #expect(SluiceProcess.eventually { second.errors.contains("registered") })
        first.kill9()
        _ = first.wait()
        let appended = try SluiceProcess.run(
            [
                "generate", "ad-events", "--bootstrap", harness.bootstrap, "--topic", harness.topic, "--partitions", "4",
                "--events", "10000", "--format", "avro", "--seed", "1", "--ads", "ads2.csv",
            ], in: harness.directory.path)
        #expect(appended.status == 0, "\(appended.errors)")
        #expect(try SluiceProcess.eventually { try cluster.lag() == 0 }, "\(cluster.driver.errors)")
        second.terminate()
        #expect(second.wait().status == 0)
        #expect(cluster.stop().status == 0)
        try harness.sluice("audit", "campaign-views")
    }

    @Test func `pause drains, resume goes on, stop ends, and a driver that starts again takes the job up`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        let cluster = try Cluster(harness)
        let worker = try cluster.worker()
        _ = try cluster.submit()
        #expect(try SluiceProcess.eventually { try cluster.lag() == 0 })
        try harness.sluice("jobs", "pause", "campaign-views", "--driver", cluster.url)
        #expect(try SluiceProcess.eventually { try cluster.state() == "paused" })
        try harness.sluice("jobs", "resume", "campaign-views", "--driver", cluster.url)
        #expect(try SluiceProcess.eventually { try cluster.state() == "running" })
        #expect(cluster.stop().status == 0)

        let again = try Cluster(harness)
        #expect(try SluiceProcess.eventually { try again.state() == "running" }, "\(again.driver.errors)")
        try harness.sluice("jobs", "stop", "campaign-views", "--driver", again.url)
        #expect(try SluiceProcess.eventually { try again.state() == "stopped" })
        worker.kill9()
        _ = worker.wait()
        _ = again.stop()
        try harness.expectExact()
    }

    private static func url(of worker: SluiceProcess) -> String? {
        worker.errors.split(whereSeparator: { $0 == " " || $0 == "\n" }).last { $0.hasPrefix("url=") }.map { String($0.dropFirst(4)) }
    }

    /// Connections to a port of this host whose other end is not closed.
    private static func connections(of process: Int32, to port: Int) -> Int {
        let folder = "/proc/\(process)/fd"
        let own = Set(
            ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + $0)
            })
        let table = FileManager.default.contents(atPath: "/proc/net/tcp").map { String(decoding: $0, as: UTF8.self) } ?? ""
        return table.split(separator: "\n").dropFirst().count { line in
            let words = line.split(separator: " ")
            return words.count > 9 && words[3] == "01" && own.contains("socket:[\(words[9])]") && words[2].split(separator: ":").last.flatMap { Int($0, radix: 16) } == port
        }
    }

    @Test func `what a job held in its workers stayed there when it stopped`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        let cluster = try Cluster(harness)
        let workers = try (0..<2).map { _ in try cluster.worker() }
        defer {
            for worker in workers { worker.kill9() }
            for worker in workers { _ = worker.wait() }
            _ = cluster.stop()
        }
        #expect(SluiceProcess.eventually { workers.allSatisfy { $0.errors.contains("registered") } })
        let secret = try String(contentsOfFile: harness.directory.file(".sluice/secret"), encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let urls = try workers.map { try #require(Self.url(of: $0)) }
        func kept(_ name: String) throws -> [String] {
            try urls.map { url in
                let answer = try runTool("/usr/bin/curl", ["-s", "-H", "Authorization: Bearer \(secret)", url + "/metrics"]).output
                let line = answer.split(separator: "\n").first { $0.hasPrefix(name + " ") }
                return String(line?.split(separator: " ").last ?? "?")
            }
        }
        _ = try cluster.submit("campaign-views", ["--set", "max_batch_records=2000"])
        #expect(try SluiceProcess.eventually { try cluster.lag() == 0 }, "\(cluster.driver.errors)")
        #expect(try kept("sluice_worker_jobs_kept").contains("1"))
        try harness.sluice("jobs", "stop", "campaign-views", "--driver", cluster.url)
        #expect(try SluiceProcess.eventually { try kept("sluice_worker_jobs_kept") == ["0", "0"] })
        #expect(try kept("sluice_worker_block_bytes") == ["0", "0"] && kept("sluice_worker_held_memory_bytes") == ["0", "0"])
        try harness.expectExact()
    }

    @Test func `a worker that is paused holds neither its job nor a thread of the driver`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        let cluster = try Cluster(harness)
        let (paused, other) = (try cluster.worker(), try cluster.worker())
        defer {
            for worker in [paused, other] { worker.kill9() }
            for worker in [paused, other] { _ = worker.wait() }
            _ = cluster.stop()
        }
        #expect(SluiceProcess.eventually { paused.errors.contains("registered") && other.errors.contains("registered") })
        _ = try cluster.submit("campaign-views", ["--set", "lateness=30d"])
        #expect(try SluiceProcess.eventually { try cluster.lag() == 0 }, "\(cluster.driver.errors)")
        paused.pause()
        try harness.generate(events: 20_000, seed: 2)
        #expect(try SluiceProcess.eventually { try cluster.lag() == 0 }, "\(cluster.driver.errors)")
        #expect(SluiceProcess.eventually { cluster.driver.errors.contains("worker lost") })
        // A thread that still waited for an answer would have its connection to that port.
        let port = try #require(Self.url(of: paused).flatMap { URL(string: $0)?.port })
        #expect(SluiceProcess.eventually(timeoutMillis: 60_000) { Self.connections(of: cluster.driver.pid, to: port) == 0 })
        try harness.sluice("jobs", "stop", "campaign-views", "--driver", cluster.url)
        try harness.sluice("audit", "campaign-views")
    }

    @Test func `a replaced job goes on in the same log with new digests, and one whose state does not fit is refused`() throws {
        let harness = try JobHarness()
        try harness.generate(events: 20_000)
        let cluster = try Cluster(harness)
        let worker = try cluster.worker()
        defer {
            worker.kill9()
            _ = worker.wait()
            _ = cluster.stop()
        }
        _ = try cluster.submit()
        #expect(try SluiceProcess.eventually { try cluster.lag() == 0 })
        let refused = try cluster.submit("campaign-views", ["--set", "lateness=30s"], expecting: 1)
        #expect(refused.errors.contains("--replace"), "\(refused.errors)")
        _ = try cluster.submit("campaign-views", ["--replace", "--set", "lateness=30s"])
        #expect(try SluiceProcess.eventually { try cluster.state() == "running" })
        let other = try cluster.submit("campaign-report", ["--set", "name=campaign-views", "--replace"], expecting: 1)
        #expect(other.errors.contains("why:"), "\(other.errors)")
        try harness.expectExact()
    }

    @Test func `a worker of another build is refused by digest`() throws {
        let harness = try JobHarness()
        let cluster = try Cluster(harness)
        let path = harness.directory.file("sluice-other")
        try FileManager.default.copyItem(atPath: SluiceProcess.binary, toPath: path)
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data([0]))
        try handle.close()
        let refused = try SluiceProcess.run(["worker", "--driver", cluster.url], in: harness.directory.path, binary: path)
        #expect(refused.status == 1)
        #expect(refused.errors.contains("another build"), "\(refused.errors)")
        _ = cluster.stop()
    }

    @Test func `a worker whose driver is gone retries and then exits`() throws {
        let harness = try JobHarness()
        let cluster = try Cluster(harness)
        let worker = try SluiceProcess(
            ["worker", "--driver", cluster.url, "--driver-timeout", "1500ms"], in: harness.directory.path)
        #expect(SluiceProcess.eventually { worker.errors.contains("registered") })
        cluster.driver.kill9()
        _ = cluster.driver.wait()
        let result = worker.wait(timeoutMillis: 20_000)
        #expect(result.status == 1)
        #expect(result.errors.contains("is gone"), "\(result.errors)")
    }

    @Test func `nobody without the secret gets an answer`() throws {
        let harness = try JobHarness()
        let cluster = try Cluster(harness)
        func status(_ path: String, _ header: String? = nil) throws -> String {
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/curl")
            process.arguments = ["-s", "-o", "/dev/null", "-w", "%{http_code}"] + (header.map { ["-H", $0] } ?? []) + [cluster.url + path]
            let pipe = Pipe()
            process.standardOutput = pipe
            try process.run()
            process.waitUntilExit()
            return String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        }
        let secret = try String(contentsOfFile: harness.directory.file(".sluice/secret"), encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        for path in ["/v1/health", "/v1/ready"] { #expect(try status(path) == "200") }
        for path in ["/metrics", "/v1/jobs", "/v1/workers", "/v1/lookups/x", "/v1/state/a/b", "/v1/jobs/x/batches", "/nothing"] {
            #expect(try status(path) == "401", "\(path)")
            #expect(try status(path, "Authorization: Bearer wrong") == "401", "\(path)")
        }
        #expect(try status("/metrics", "Authorization: Bearer \(secret)") == "200")
        var mode = stat()
        #expect(stat(harness.directory.file(".sluice/secret"), &mode) == 0 && mode.st_mode & 0o777 == 0o600)
        _ = cluster.stop()
    }
}
