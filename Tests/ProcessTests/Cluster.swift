// A standing driver for tests: workers join and leave, jobs are submitted to it.

import Engine
import Foundation
import TestSupport
import Testing

/// A driver on a free port and what is needed to talk to it.
final class Cluster: Sendable {
    let harness: JobHarness
    let driver: SluiceProcess
    let url: String

    init(_ harness: JobHarness) throws {
        self.harness = harness
        driver = try SluiceProcess(
            ["driver", "--listen", "127.0.0.1:0"], in: harness.directory.path, environment: harness.environment)
        var found: String?
        _ = SluiceProcess.eventually { [driver] in
            found = driver.output.split(separator: " ").first { $0.hasPrefix("http://") }.map { String($0.dropLast($0.hasSuffix(",") ? 1 : 0)) }
            return found != nil
        }
        url = try #require(found, "the driver did not start: \(driver.errors)")
    }

    func worker(slots: Int = 2, _ extra: [String] = [], environment: [String: String] = [:]) throws -> SluiceProcess {
        try SluiceProcess(
            ["worker", "--driver", url, "--slots", "\(slots)"] + extra, in: harness.directory.path,
            environment: harness.environment.merging(environment) { $1 })
    }

    func submit(_ job: String = "campaign-views", _ extra: [String] = [], expecting status: Int32 = 0) throws -> ProcessResult {
        let result = try SluiceProcess.run(
            [
                "submit", job, "--driver", url, "--set", "bootstrap=\(harness.bootstrap)", "--set", "topic=\(harness.topic)",
                "--set", "sink=\(harness.sink)", "--set", "interval=20ms",
            ] + extra, in: harness.directory.path, environment: harness.environment)
        try #require(result.status == status, "submit: \(result.errors)")
        return result
    }

    func lag(_ job: String = "campaign-views") throws -> Int64 {
        let result = try SluiceProcess.run(["offsets", job, "--json"], in: harness.directory.path, environment: harness.environment)
        var lag: Int64 = -1
        for line in result.output.split(separator: "\n") {
            guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
                let value = object["lag"] as? Int
            else { continue }
            lag = max(lag, 0) + Int64(value)
        }
        return lag
    }

    func state(_ job: String = "campaign-views") throws -> String {
        let result = try SluiceProcess.run(["jobs", "show", job, "--json"], in: harness.directory.path, environment: harness.environment)
        let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
        return object?["state"] as? String ?? "?"
    }

    /// The driver's page of metrics.
    func metrics() throws -> String {
        let secret = try String(contentsOfFile: harness.directory.file(".sluice/secret"), encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        return try runTool("/usr/bin/curl", ["-s", "-H", "Authorization: Bearer \(secret)", url + "/metrics"]).output
    }

    func stop() -> ProcessResult {
        driver.terminate()
        return driver.wait()
    }
}
