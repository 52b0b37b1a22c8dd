// The real binary as tests run it: started, watched, killed, and never left behind.
//
// The binary lies beside the test bundle, built by the same `swift build --build-tests`. Every process is a child of the
// test process in its own directory, with its own catalog; output goes to files, so that a test that fails can show it.
// Its end is what the kernel says of it: Foundation's Process waits until everybody who inherited a socket of the child has
// closed it, which a crash reporter that stands still never does.

import Engine
import Foundation
import Synchronization

package struct ProcessResult: Sendable {
    package var status: Int32
    package var output: String
    package var errors: String
}

package final class SluiceProcess: @unchecked Sendable {
    /// The `sluice` that was built with these tests.
    package static let binary = ProcessInfo.processInfo.environment["SLUICE_TEST_BINARY"] ?? beside("sluice")

    /// The program `name` that was built with these tests.
    package static func beside(_ name: String) -> String {
        // The bundle is .../debug/sluicePackageTests.xctest; the test helper runs elsewhere.
        for argument in CommandLine.arguments where argument.contains(".xctest") {
            let folder = (argument as NSString).deletingLastPathComponent
            for candidate in [folder, (folder as NSString).deletingLastPathComponent].map({ $0 + "/" + name })
            where FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
        }
        return FileManager.default.currentDirectoryPath + "/.build/debug/" + name
    }

    package let pid: Int32
    private let outputPath: String
    private let errorPath: String
    /// How it ended, once it has been collected; until then the number is its own, so that no signal hits a stranger.
    private let ending = Mutex<Int32?>(nil)

    /// Starts `sluice` with `arguments` in `directory`.
    package init(
        _ arguments: [String], in directory: String, environment: [String: String] = [:], binary: String? = nil
    ) throws {
        let stem = directory + "/.out-\(UInt64.random(in: 0...UInt64.max))"
        outputPath = stem + ".stdout"
        errorPath = stem + ".stderr"
        for path in [outputPath, errorPath] { try Data().write(to: URL(filePath: path)) }
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("SLUICE_") }
        variables.merge(environment) { $1 }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, outputPath, O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errorPath, O_WRONLY, 0)
        // One that is not open is no error.
        for descriptor in STDERR_FILENO + 1..<256 { posix_spawn_file_actions_addclose(&actions, descriptor) }
        // Threads of a test run with most signals blocked; a child must hear all of them.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        // Swift sees no spawn with a directory; env becomes the program and keeps the number.
        let words = ["/usr/bin/env", "-C", directory, binary ?? Self.binary] + arguments
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            for pointer in argv + envp { free(pointer) }
        }
        var pid: pid_t = 0
        let status = posix_spawn(&pid, words[0], &actions, &attributes, &argv, &envp)
        guard status == 0 else {
            throw Failure(.internal, "\(words[0]) could not be started", why: String(cString: strerror(status)), now: "install coreutils")
        }
        self.pid = pid
    }

    package var isRunning: Bool { collect() == nil }

    /// How it ended, as a shell counts: its status, or 128 + signal. Nil while it runs.
    private func collect() -> Int32? {
        ending.withLock { ending in
            var status: Int32 = 0
            guard ending == nil, waitpid(pid, &status, WNOHANG) == pid else { return ending }
            ending = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
            return ending
        }
    }

    private func send(_ signal: Int32) {
        ending.withLock { ending in
            if ending == nil { kill(pid, signal) }
        }
    }

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

    package func kill9() { send(SIGKILL) }
    package func terminate() { send(SIGTERM) }

    /// Returns when no thread runs any more: the signal is only on its way when `kill` returns.
    package func pause() {
        send(SIGSTOP)
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

    package func resume() { send(SIGCONT) }

    /// Waits for the end; kills it and says so when it takes longer than `timeoutMillis`.
    package func wait(timeoutMillis: Int = 300_000) -> ProcessResult {
        let deadline = ContinuousClock.now + .milliseconds(timeoutMillis)
        while ContinuousClock.now < deadline {
            if let status = collect() { return ProcessResult(status: status, output: output, errors: errors) }
            usleep(5000)
        }
        kill9()
        _ = Self.eventually { !isRunning }
        return ProcessResult(status: -1, output: output, errors: errors + "\n(the test killed it after \(timeoutMillis) ms)")
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
