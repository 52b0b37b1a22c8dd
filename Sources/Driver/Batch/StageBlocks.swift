// Which blocks each task of the stage after the exchange fetches, and from whom.
//
// Sources name the parts that they have a block for; this turns that round, once for all tasks of the stage. With 10,000
// sources and 128 parts that are 1.28 million blocks: so holders are listed once and shared by all requests, and the
// sources of a part are runs.

import Engine
import Wire

struct StageBlocks {
    private(set) var holders = BlockHolders()
    /// By part.
    private(set) var sources: [PartRuns]

    /// - Parameter holder: address, attempt and destinations of a source.
    init(
        sources count: Int, parts: Int, holder: (Int) throws -> (url: String, attempt: Int, destinations: [Int])
    ) rethrows {
        sources = Array(repeating: PartRuns(), count: parts)
        holders.worker.reserveCapacity(count)
        holders.attempt.reserveCapacity(count)
        var known: [String: Int] = [:]
        for source in 0..<count {
            let holder = try holder(source)
            let worker = known[holder.url] ?? holders.urls.count
            if worker == holders.urls.count {
                known[holder.url] = worker
                holders.urls.append(holder.url)
            }
            holders.worker.append(worker)
            holders.attempt.append(holder.attempt)
            for part in holder.destinations where sources.indices.contains(part) { sources[part].append(source) }
        }
    }
}
