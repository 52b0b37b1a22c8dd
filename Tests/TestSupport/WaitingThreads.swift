// Threads for tests that wait: for processes, servers, clocks.
//
// Swift runs tests on as many threads as there are cores. A test that waits keeps its thread, so on two cores two tests that wait were all
// that ran, and both cores rested. A suite with `.waits` has its bodies run on threads of these: a few more than cores, so that the
// machine is busy, and few enough that nobody's patience ends because of the others.

import Foundation
import Testing

/// Runs each body of a suite on a thread that may be kept.
package struct WaitingTrait: TestTrait, SuiteTrait, TestScoping {
    package var isRecursive: Bool { true }

    package func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(WaitingThreads.shared) { try await function() }
    }
}

extension Trait where Self == WaitingTrait {
    /// For suites whose bodies wait for what is outside this process, or sleep.
    package static var waits: Self { WaitingTrait() }
}

private final class WaitingThreads: TaskExecutor, @unchecked Sendable {
    static let shared = WaitingThreads(count: max(2, ProcessInfo.processInfo.activeProcessorCount) * 3)

    private let condition = NSCondition()
    private var jobs: [UnownedJob] = []
    private var first = 0

    init(count: Int) {
        for number in 0..<count {
            let thread = Thread { [self] in work() }
            thread.name = "waiting-\(number)"
            // A test's body may call deep; the default of a thread is half of a main thread's.
            thread.stackSize = 8 << 20
            thread.start()
        }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        condition.withLock {
            jobs.append(job)
            condition.signal()
        }
    }

    private func work() {
        while true {
            condition.lock()
            while first == jobs.count { condition.wait() }
            let job = jobs[first]
            first += 1
            if first == jobs.count {
                jobs.removeAll(keepingCapacity: true)
                first = 0
            }
            condition.unlock()
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
