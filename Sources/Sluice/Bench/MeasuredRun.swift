// One `sluice run` of the real binary, watched from outside: when each batch line arrived, and its processes.
//
// The clock starts before the process is made, so its start-up is in every number. A thread stamps each line as it
// comes out of the pipe; the bench takes them one after another. It is ended by its owner with `end()`, which asks
// (SIGTERM) and, when that is not heard, kills. Its workers end with it (see `ChildProcess`). A bench that is itself
// killed with -9 leaves a standing run behind: that one has to be ended by hand.

import Dispatch
import Driver
import Engine
import Foundation
import Synchronization

/// Set by the first Ctrl-C; looked at wherever a bench waits.
final class BenchStop: Sendable {
    private let isAsked = Atomic(false)

    func ask() { isAsked.store(true, ordering: .relaxed) }

    func check() throws {
        guard isAsked.load(ordering: .relaxed) else { return }
        throw Failure(
            .taskCancelled, "the bench was stopped", why: "it was asked to", now: "start it again to have all numbers")
    }
}

final class MeasuredRun {
    struct Line {
        var batch: BatchView
        /// Since just before the process was started.
        var arrivedMillis: Double
    }

    /// Lines in their order; nil is the end of the output.
    private final class Inbox: Sendable {
        let lines = Mutex<[(text: String, at: ContinuousClock.Instant)?]>([])
        let arrived = DispatchSemaphore(value: 0)

        func put(_ line: (text: String, at: ContinuousClock.Instant)?) {
            lines.withLock { $0.append(line) }
            arrived.signal()
        }
    }

    private let process = Process()
    private let inbox = Inbox()
    private let began: ContinuousClock.Instant
    private let logPath: String
    private let stop: BenchStop

    init(_ arguments: [String], logIn directory: String, environment: [String: String], stop: BenchStop) throws {
        self.stop = stop
        logPath = directory + "/run.log"
        let pipe = Pipe()
        _ = FileManager.default.createFile(atPath: logPath, contents: nil)
        process.executableURL = URL(filePath: ThisProgram.path)
        process.arguments = arguments
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = FileHandle(forWritingAtPath: logPath)
        began = ContinuousClock.now
        do {
            try process.run()
        } catch {
            throw Failure(
                .internal, "a run could not be started from \(ThisProgram.path)", why: "\(error)",
                now: "check that the file is there and the limits of this user (`ulimit -a`)")
        }
        let reader = pipe.fileHandleForReading
        let thread = Thread { [inbox] in
            Self.read(reader.fileDescriptor, into: inbox)
            withExtendedLifetime(reader) {}
        }
        thread.name = "bench lines"
        thread.start()
    }

    private static func read(_ descriptor: Int32, into inbox: Inbox) {
        var rest: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Foundation.read(descriptor, &piece, piece.count)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { break }
            let now = ContinuousClock.now
            rest += piece[..<count]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                inbox.put((String(decoding: rest[..<end], as: UTF8.self), now))
                rest.removeSubrange(...end)
            }
        }
        inbox.put(nil)
    }

    /// Waits for the first batch of a run that prints lines for people.
    func begun(timeoutMillis: Int = 120_000) throws {
        while let (text, _) = try takeText(timeoutMillis: timeoutMillis) {
            if text.hasPrefix("batch ") { return }
        }
        process.waitUntilExit()
        throw unexpected("it ended with status \(process.terminationStatus)")
    }

    /// The next committed batch.
    /// - Throws: when the run ends instead, or none comes in time.
    func next(timeoutMillis: Int = 120_000) throws -> Line {
        guard let line = try take(timeoutMillis: timeoutMillis) else {
            process.waitUntilExit()
            throw unexpected("it ended with status \(process.terminationStatus)")
        }
        return line
    }

    /// Takes batches until the log has read `offsets` offsets in all. Returns the last one.
    @discardableResult
    func next(untilOffsets offsets: Int64) throws -> Line {
        while true {
            let line = try next()
            for (partition, until) in line.batch.until { reached[partition] = until }
            if reached.values.reduce(0, +) >= offsets { return line }
        }
    }

    /// Where each partition stands; a batch names only those that it read.
    private var reached: [String: Int64] = [:]

    /// Waits until a run that ends by itself has ended well.
    func finish() throws { _ = try all() }

    /// All batches that are still to come, of a run that ends by itself, when it has ended well.
    func all() throws -> [Line] {
        var lines: [Line] = []
        while let line = try take(timeoutMillis: 120_000) { lines.append(line) }
        process.waitUntilExit()
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            throw unexpected("it ended with status \(process.terminationStatus)")
        }
        return lines
    }

    private func takeText(timeoutMillis: Int) throws -> (text: String, at: ContinuousClock.Instant)? {
        let deadline = ContinuousClock.now + .milliseconds(timeoutMillis)
        // In short waits, so that Ctrl-C is heard.
        while inbox.arrived.wait(timeout: .now() + .milliseconds(100)) == .timedOut {
            try stop.check()
            if ContinuousClock.now > deadline { throw unexpected("no batch came within \(timeoutMillis / 1000) s") }
        }
        try stop.check()
        return inbox.lines.withLock { $0.removeFirst() }
    }

    private func take(timeoutMillis: Int) throws -> Line? {
        guard let (text, at) = try takeText(timeoutMillis: timeoutMillis) else { return nil }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            let batch = try decoder.decode(BatchView.self, from: Data(text.utf8))
            return Line(batch: batch, arrivedMillis: (at - began) / .milliseconds(1))
        } catch {
            throw Failure(
                .internal, "a batch line of `sluice run --json` could not be read", why: "\(error)",
                now: "report this; the bench and the run are the same binary")
        }
    }

    private func unexpected(_ why: String) -> Failure {
        // The directory goes with the bench, so the end of the log has to be told here.
        let log = (FileManager.default.contents(atPath: logPath).map { String(decoding: $0, as: UTF8.self) } ?? "")
            .split(separator: "\n").suffix(6).joined(separator: " | ")
        return Failure(
            .notPossible, "a run of the bench did not do what it was started for",
            why: why + (log.isEmpty ? "; it logged nothing" : "; its log ends with: \(log)"),
            now: "mend that first: `sluice doctor` with the same broker tells more")
    }

    /// Most memory held until now, by the first process and by each worker.
    func peaks() throws -> (driver: Int64, workers: [Int64]) {
        let driver = process.processIdentifier
        return (
            try ProcessTree.peakResidentBytes(of: driver),
            try ProcessTree.children(of: driver).map { try ProcessTree.peakResidentBytes(of: $0) }
        )
    }

    /// Processor time used until now by the first process and its workers, in milliseconds.
    func cpuMillis() throws -> Double {
        let driver = process.processIdentifier
        return try ([driver] + ProcessTree.children(of: driver)).reduce(0) { try $0 + ProcessTree.cpuMillis(of: $1) }
    }

    /// Ends the run and waits for it.
    func end() {
        guard process.isRunning else { return }
        process.terminate()
        let deadline = ContinuousClock.now + .seconds(15)
        while process.isRunning && ContinuousClock.now < deadline { usleep(5000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }
}
