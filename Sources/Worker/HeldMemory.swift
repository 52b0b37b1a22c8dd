// How much a worker holds in memory between a task's report and the end of its batch, and where the rest goes.
//
// Blocks and rows share one budget (`block_memory`). What still fits is kept as it is; what does not goes whole into the
// try's `SpillFile`. Nothing moves later: what was kept stays, and what was put aside is read when it is asked for. So a
// batch of any size costs the budget, what is being read or written at the moment, and disk.
//
// The sums must come back to zero when everything was let go; `HeldMemoryTests` looks at that.

import Engine
import Synchronization

package final class HeldMemory: Sendable {
    private struct State {
        var residentBytes = 0
        var files: [BatchTry: SpillFile] = [:]
        var spilledBytes = 0
    }

    package let budgetBytes: Int
    private let directory: String
    private let state = Mutex(State())

    package init(budgetBytes: Int, directory: String = SpillFile.defaultDirectory) {
        self.budgetBytes = budgetBytes
        self.directory = directory
    }

    package var residentBytes: Int { state.withLock { $0.residentBytes } }
    /// Bytes that were put aside since this worker started.
    package var spilledBytes: Int { state.withLock { $0.spilledBytes } }

    /// Whether this many bytes may stay in memory; if so they are counted until `letGo`.
    package func take(_ bytes: Int) -> Bool {
        state.withLock { state in
            guard state.residentBytes + bytes <= budgetBytes else { return false }
            state.residentBytes += bytes
            return true
        }
    }

    package func letGo(_ bytes: Int) {
        state.withLock { state in
            state.residentBytes -= bytes
            precondition(state.residentBytes >= 0, "more was let go than was held")
        }
    }

    /// Writes bytes of a try to disk.
    /// - Throws: `workerTrouble`.
    package func putAside(_ bytes: [UInt8], of owner: BatchTry) throws -> SpillFile.Place {
        let file = try state.withLock { state in
            if let known = state.files[owner] { return known }
            let made = try SpillFile(directory: directory)
            state.files[owner] = made
            return made
        }
        let place = try file.append(bytes)
        state.withLock { $0.spilledBytes += bytes.count }
        return place
    }

    /// Forgets the file of a try; it goes with the last place in it.
    package func closeFile(of owner: BatchTry) { state.withLock { $0.files[owner] = nil } }
}
