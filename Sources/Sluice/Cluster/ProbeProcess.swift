// Tasks in a process of their own, to see whether it survives them: how a record that is fatal is found without costing a
// worker for each try (protocol 3).
//
// The worker starts its own program with a worker's arguments once more, and a variable that says what it is for. The request
// comes through standard input, which then stays open as the sign that the parent lives. The answer is the exit status: 0, all
// tasks have a report; a signal, the process did not survive; anything else says nothing, one failed as tasks do.
//
// The tasks run as a replay does: nothing of them is kept, no state and no sink is touched.

import Dispatch
import Engine
import Foundation
import Synchronization
import Wire
import Worker

enum ProbeProcess {
    /// A probe reads at most what its batch reads.
    private static let limitSeconds = 600

    /// Whether this process was started to try tasks.
    static var isThis: Bool { !(ProcessInfo.processInfo.environment[SettingsSource.probeVariable] ?? "").isEmpty }

    // MARK: the worker

    /// - Parameters:
    ///   - arguments: of a worker of the same driver.
    ///   - environment: what such a worker is given besides.
    static func run(
        _ request: RunTasks, as arguments: [String] = Array(CommandLine.arguments.dropFirst()), environment: [String: String] = [:]
    ) throws -> ProbeReply {
        let body = try JobLine.body(request)
        let child = try ChildProcess(
            ThisProgram.path, arguments,
            // Named places of crash tests are the worker's; a trace of the trap that is looked for would only take time.
            environment: environment.merging([SettingsSource.probeVariable: "1", "SLUICE_TEST_FAILPOINT": "", "SWIFT_BACKTRACE": "enable=no"]) { $1 })
        let isTooLong = Mutex(false)
        let isOver = DispatchSemaphore(value: 0)
        let limit = Thread {
            guard isOver.wait(timeout: .now() + .seconds(limitSeconds)) == .timedOut else { return }
            isTooLong.withLock { $0 = true }
            kill(child.pid, SIGKILL)
        }
        limit.stackSize = 1 << 20
        limit.start()
        let isSent = child.send(Array("\(body.count)\n".utf8) + body)
        let status = child.wait()
        isOver.signal()
        if status == 0 { return ProbeReply() }
        guard isSent, status > 128, !isTooLong.withLock({ $0 }) else {
            throw Failure(
                .kafkaTransient, "tasks that were tried apart came to nothing",
                why: isTooLong.withLock { $0 } ? "they took longer than \(limitSeconds) s" : "a task failed; the log of this worker says why",
                now: "nothing; they are tried again")
        }
        return ProbeReply(died: "signal \(status - 128)")
    }

    // MARK: the child

    static func serve(_ settings: Settings, _ jobs: JobDefinitions) -> Int32 {
        do {
            let request = try JobLine.message(RunTasks.self, in: readRequest())
            WorkerCommand.exitWithParent()
            let client = try Credentials(settings, mayMakeSecret: false).makeClient()
            let node = WorkerNode(
                slots: 1, jobs: jobs, build: ThisProgram.buildDigest,
                driver: HTTPDriverLink(client: client, url: settings.text(.driver)), peers: HTTPBlockLink(client: client),
                blockMemoryBytes: settings.bytes(.blockMemory))
            let read = try succeeded(node.run(request))
            if let merges = request.merges {
                var merging = request
                merging.stage = 1
                merging.merges = nil
                merging.holders = BlockHolders(urls: [node.url])
                let made = read.filter { !($0.report?.destinations.isEmpty ?? true) }.sorted { $0.part < $1.part }
                let last = made.last?.part ?? -1
                merging.holders?.worker = Array(repeating: 0, count: last + 1)
                merging.holders?.attempt = Array(repeating: 1, count: last + 1)
                merging.tasks = merges.map { task in
                    var task = task
                    var sources = PartRuns()
                    for result in made where result.report?.destinations.contains(task.part) ?? false { sources.append(result.part) }
                    task.sources = sources
                    return task
                }
                _ = try succeeded(node.run(merging))
            }
            return 0
        } catch {
            let reason = failure(error)
            Log.warning("a probe failed", [("what", reason.what), ("why", reason.why)])
            return 1
        }
    }

    private static func succeeded(_ reply: RunTasksReply) throws -> [TaskResult] {
        for result in reply.results {
            if let reason = result.failure { throw reason }
        }
        return reply.results
    }

    private static func readRequest() throws -> [UInt8] {
        func next(_ count: Int) -> [UInt8] {
            var bytes: [UInt8] = []
            var piece = [UInt8](repeating: 0, count: min(max(count, 1), 64 << 10))
            while bytes.count < count {
                let n = read(STDIN_FILENO, &piece, min(piece.count, count - bytes.count))
                if n < 0 && errno == EINTR { continue }
                if n <= 0 { break }
                bytes += piece[..<n]
            }
            return bytes
        }
        var digits: [UInt8] = []
        while let digit = next(1).first, digit != UInt8(ascii: "\n") { digits.append(digit) }
        let count = Int(String(decoding: digits, as: UTF8.self)) ?? 0
        let body = next(count)
        guard count > 0, body.count == count else {
            throw Failure(.internal, "no tasks came to be tried", why: "standard input ended", now: "nothing; they are tried again")
        }
        return body
    }
}
