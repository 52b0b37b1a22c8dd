// The real binary as tests run it: started, watched, killed, and never left behind.
//
// The binary lies beside the test bundle, built by the same `swift build --build-tests`. Every process is a child of the
// test process in its own directory, with its own catalog; output goes to files, so that a test that fails can show it.

import Engine
import Foundation

package struct ProcessResult: Sendable {
    package var status: Int32
    package var output: String
    package var errors: String
}

package final class SluiceProcess: @unchecked Sendable {
    /// The `sluice` that was built with these tests.
    package static let binary: String = {
        if let named = ProcessInfo.processInfo.environment["SLUICE_TEST_BINARY"] { return named }
        // The bundle is .../debug/sluicePackageTests.xctest; the test helper runs elsewhere.
        for argument in CommandLine.arguments where argument.contains(".xctest") {
            let folder = (argument as NSString).deletingLastPathComponent
            for candidate in [folder + "/sluice", ((folder as NSString).deletingLastPathComponent) + "/sluice"]
            where FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
        }
        return FileManager.default.currentDirectoryPath + "/.build/debug/sluice"
    }()

    private let process = Process()
    private let outputPath: String
    private let errorPath: String

    /// Starts `sluice` with `arguments` in `directory`.
    package init(
        _ arguments: [String], in directory: String, environment: [String: String] = [:], binary: String? = nil
    ) throws {
        let stem = directory + "/.out-\(UInt64.random(in: 0...UInt64.max))"
        outputPath = stem + ".stdout"
        errorPath = stem + ".stderr"
        for path in [outputPath, errorPath] { FileManager.default.createFile(atPath: path, contents: nil) }
        process.executableURL = URL(filePath: binary ?? Self.binary)
        process.arguments = arguments
        process.currentDirectoryURL = URL(filePath: directory)
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("SLUICE_") }
        variables.merge(environment) { $1 }
        process.environment = variables
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle(forWritingAtPath: outputPath)
        process.standardError = FileHandle(forWritingAtPath: errorPath)
        try process.run()
    }

    package var pid: Int32 { process.processIdentifier }
    package var isRunning: Bool { process.isRunning }
    /// The worker processes of a `run`.
    package var children: [Int32] {
        let text = FileManager.default.contents(atPath: "/proc/\(pid)/task/\(pid)/children") ?? Data()
        return String(decoding: text, as: UTF8.self).split(separator: " ").compactMap { Int32($0) }
    }
    package var output: String { read(outputPath) }
    package var errors: String { read(errorPath) }

    private func read(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    package func kill9() { kill(pid, SIGKILL) }
    package func terminate() { kill(pid, SIGTERM) }

    /// Returns when no thread runs any more: the signal is only on its way when `kill` returns.
    package func pause() {
        kill(pid, SIGSTOP)
        _ = Self.eventually { !isRunning || threadStates.allSatisfy { $0 == "T" || $0 == "t" || $0 == "Z" } }
    }

    /// What /proc says of each thread: R, S, D, T (stopped), Z.
    private var threadStates: [Character] {
        let tasks = "/proc/\(pid)/task"
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
        return threads.compactMap { thread in
            guard let text = try? String(contentsOfFile: "\(tasks)/\(thread)/stat", encoding: .utf8),
                let name = text.lastIndex(of: ")")
            else { return nil }
            return text[name...].dropFirst(2).first
        }
    }

    package func resume() { kill(pid, SIGCONT) }

    /// Waits for the end; kills it and says so when it takes longer than `timeoutMillis`.
    package func wait(timeoutMillis: Int = 300_000) -> ProcessResult {
        let deadline = ContinuousClock.now + .milliseconds(timeoutMillis)
        while process.isRunning {
            if ContinuousClock.now > deadline {
                kill9()
                process.waitUntilExit()
                return ProcessResult(status: -1, output: output, errors: errors + "\n(the test killed it after \(timeoutMillis) ms)")
            }
            usleep(5000)
        }
        process.waitUntilExit()
        let status = process.terminationReason == .uncaughtSignal ? 128 + process.terminationStatus : process.terminationStatus
        return ProcessResult(status: status, output: output, errors: errors)
    }

    /// Runs to the end.
    package static func run(
        _ arguments: [String], in directory: String, environment: [String: String] = [:], binary: String? = nil,
        timeoutMillis: Int = 300_000
    ) throws -> ProcessResult {
        try SluiceProcess(arguments, in: directory, environment: environment, binary: binary).wait(timeoutMillis: timeoutMillis)
    }

    /// Waits until `condition` holds; false after `timeoutMillis`.
    package static func eventually(timeoutMillis: Int = 30_000, _ condition: () throws -> Bool) rethrows -> Bool {
        let deadline = ContinuousClock.now + .milliseconds(timeoutMillis)
        while ContinuousClock.now < deadline {
            if try condition() { return true }
            usleep(10_000)
        }
        return false
    }
}
