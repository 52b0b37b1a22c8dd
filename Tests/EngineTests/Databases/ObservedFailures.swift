// What a call threw, as a value to compare: of one call, or of several threads at once.

import Dispatch
import Engine
import Foundation
import Synchronization

/// The code of the failure that `body` throws; nil when it throws none.
func failureCode<Result>(_ body: () throws -> Result) -> Failure.Code? { failure(body)?.code }

/// The failure that `body` throws; an error of another type shows as `internal`.
func failure<Result>(_ body: () throws -> Result) -> Failure? {
    do {
        _ = try body()
        return nil
    } catch let failure as Failure {
        return failure
    } catch {
        return Failure(.internal, "\(error)", why: "", now: "")
    }
}

/// Runs `body` on `count` threads of their own at once and returns what they threw. (`concurrentPerform` takes no more
/// threads than there are processors, and those that wait for the others would wait for ever.)
func failuresOfThreads(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) -> [any Error] {
    let failures = ErrorList()
    let running = DispatchGroup()
    for index in 0..<count {
        running.enter()
        Thread.detachNewThread {
            do { try body(index) } catch { failures.add(error) }
            running.leave()
        }
    }
    running.wait()
    return failures.all
}

private final class ErrorList: Sendable {
    private let errors = Mutex<[any Error]>([])
    func add(_ error: any Error) { errors.withLock { $0.append(error) } }
    var all: [any Error] { errors.withLock { $0 } }
}
