// The script that starts real brokers and Kafka's own tools (beside the repository, or in SLUICE_KAFKA_HOME), found once.
//
// Most of the processor time of a test run is Java's, and most of that is loading and compiling the same classes. So one broker lays its
// classes out in a file, once a machine, and all others and the tools map that file: they are there in less than half of the time. A
// file that does not fit (another Java, another release) is passed over by Java itself.

import Foundation

package struct KafkaLauncher: Sendable {
    package let path: String
    private let environment: [String: String?]

    /// Nil where there is none: tests that need a real Kafka are to be skipped by name then.
    package static let found: KafkaLauncher? = findPath().map { KafkaLauncher(path: $0) }

    private init(path: String) {
        self.path = path
        let archive = Self.archive(launcher: path)
        environment = ["JAVA_TOOL_OPTIONS": "\(Self.options) -XX:SharedArchiveFile=\(archive)"]
    }

    /// Runs a tool to its end.
    /// - Returns: its exit status and what it printed.
    package func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let result = try runTool(path, arguments, environment: environment)
        let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
        return (result.status, lines.filter { !$0.hasPrefix("Picked up JAVA_TOOL_OPTIONS") }.joined(separator: "\n"))
    }

    /// Starts a tool that runs on while a test does; `end` ends it and what it started.
    package func start(_ arguments: [String], in directory: String) throws -> SluiceProcess {
        try SluiceProcess(arguments, in: directory, environment: environment.compactMapValues(\.self), binary: path)
    }

    /// One compiler is enough for processes that live a minute.
    private static let options = "-XX:TieredStopAtLevel=1 -Xlog:disable"

    private static func findPath() -> String? {
        if let home = ProcessInfo.processInfo.environment["SLUICE_KAFKA_HOME"] {
            let path = home + "/kafka"
            return FileManager.default.isExecutableFile(atPath: path) ? path : nil
        }
        // The package's root, and above it for a work tree that lies deeper.
        var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        for _ in 0..<3 {
            folder.deleteLastPathComponent()
            let path = folder.appendingPathComponent("shared/kafka/kafka").path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        return nil
    }

    /// Where the classes lie; made by the first who asks on this machine, while others wait. Without it everything works, and slower.
    private static func archive(launcher: String) -> String {
        let place = NSTemporaryDirectory() + "/sluice-kafka-classes\(launcher.replacing("/", with: "-"))"
        let lock = open(place + ".lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard lock >= 0 else { return place }
        defer { close(lock) }
        flock(lock, LOCK_EX)
        guard !FileManager.default.fileExists(atPath: place) else { return place }
        let (folder, made) = (place + ".broker", place + ".new")
        let variables = ["JAVA_TOOL_OPTIONS": options]
        defer {
            _ = try? runTool(launcher, ["kill", folder])
            try? FileManager.default.removeItem(atPath: folder)
        }
        // Storage is formatted by a process of its own, which must not lay out its classes.
        guard (try? runTool(launcher, ["start", folder], environment: variables))?.status == 0 else { return place }
        _ = try? runTool(launcher, ["stop", folder])
        let training = ["JAVA_TOOL_OPTIONS": "\(options) -XX:ArchiveClassesAtExit=\(made)"]
        guard (try? runTool(launcher, ["start", folder], environment: training))?.status == 0 else { return place }
        _ = try? runTool(launcher, ["stop", folder])
        rename(made, place)
        return place
    }
}

extension SluiceProcess {
    /// Ends it and all that it started, at once.
    package func endGroup() { kill(-pid, SIGKILL) }
}
