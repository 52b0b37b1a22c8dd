// How long an event waits until its row is visible: a standing job with interval 0 under steady traffic.
//
// The real binary with its workers, a producer at a fixed rate, a reader of the sink. Every view counts, from the moment
// at which it was due to be sent until the first look at the sink that shows it, so client, broker, batch, every fsync
// and the reader's own pause are in it. Beside it stand the processor time of the driver and its workers in the same
// seconds, the batches, and what the disk took: the catalog's commit and the sink's seal as the batches tell them, how
// many of both there were, and what a bare fdatasync costs in the same directory. The first seconds warm up and are not
// counted.

import Driver
import Engine
import Foundation

struct LatencyBench {
    var place: BenchPlace
    var runs: Int
    var workers: Int
    var perSecond: Int
    var seconds: Int
    /// nil: a SQLite file of each run's own.
    var sink: String?
    var progress: (String) -> Void

    /// A broker that has just been started is slow for its first ten thousand requests.
    static let warmupSeconds = 8

    enum Budget {
        static let medianMillis = 12.0
        static let tailMillis = 40.0
        static let cores = 0.12
    }

    /// One run's numbers, by name, in the order in which they are shown.
    private struct Found {
        var latencies: [Double] = []
        var cores = 0.0
        var stolenCores = 0.0
        var batches: [BatchRecord] = []
        var seconds = 0.0
    }

    func run() throws -> [BenchResult] {
        var found: [Found] = []
        for run in 1...runs {
            progress("\(grouped(Int64(perSecond))) events a second, run \(run) of \(runs)")
            found.append(try measure())
        }
        let syncs = try (0..<50).map { _ in try Self.syncMillis(in: place.directory) }
        return results(found)
            + [
                Spread(syncs).map { BenchResult("fdatasync of 4 KiB in the same directory", workers: workers, .millis, $0) }
            ].compactMap { $0 }
    }

    private func measure() throws -> Found {
        let topic = try place.traffic("latency-\(place.runs)", events: 1).topic
        let run = try place.run(
            topic: topic, workers: workers, json: false, ["--interval", "0"] + (sink.map { ["--sink", $0] } ?? []))
        defer { run.end() }
        try run.begun()
        let traffic = try SteadyTraffic(
            place, topic: topic, perSecond: perSecond, seconds: seconds + Self.warmupSeconds)
        let watch = try SinkWatch(sink: sink ?? "sqlite:\(place.lastFolder)/sink.db", campaigns: traffic.campaigns)
        try watch.begin()
        let base = watch.seen
        var found = Found()
        let beginMillis = Double(SteadyTraffic.wallMillis()) + Double(Self.warmupSeconds) * 1000
        var cpuBefore: Double?
        var cpuBeganMillis = 0.0
        var stolenBefore = 0.0
        var (due, shown) = (0, 0)
        var deadlineMillis = Double.infinity
        while true {
            try place.stop.check()
            let hasEnded = traffic.hasEnded
            _ = try watch.look { campaign, views in
                let now = Self.preciseMillis()
                let times = traffic.due(campaign, views.lowerBound - base[campaign]..<views.upperBound - base[campaign])
                shown += times.count
                for time in times where Double(time) >= beginMillis { found.latencies.append(now - Double(time)) }
            }
            let now = Self.preciseMillis()
            if cpuBefore == nil && now >= beginMillis {
                cpuBefore = try run.cpuMillis()
                cpuBeganMillis = now
                stolenBefore = BenchMachine.stolenMillis()
            }
            if hasEnded {
                if deadlineMillis == .infinity {
                    // The seconds of the measurement are over: what follows is the wait for the last rows.
                    found.seconds = (now - cpuBeganMillis) / 1000
                    found.cores = (try run.cpuMillis() - (cpuBefore ?? 0)) / (now - cpuBeganMillis)
                    found.stolenCores = (BenchMachine.stolenMillis() - stolenBefore) / (now - cpuBeganMillis)
                    deadlineMillis = now + 30_000
                    due = traffic.viewCount
                }
                if shown == due { break }
                if now > deadlineMillis {
                    throw Failure(
                        .notPossible, "the sink does not show all events", why: "\(due - shown) of \(due) views are missing",
                        now: "report this with the output of `sluice doctor`")
                }
            }
            usleep(SinkWatch.pauseMicros)
        }
        _ = try traffic.finish()
        run.end()
        let catalog = try Catalog.open(address: "sqlite:\(place.lastFolder)/catalog.db", access: .readOnly)
        defer { catalog.close() }
        for job in try catalog.jobs() {
            found.batches += try catalog.batches(job.jobID, last: .max).filter {
                $0.outcome != nil && Double($0.plannedAtMillis) >= beginMillis
            }
        }
        return found
    }

    // MARK: numbers

    private func results(_ found: [Found]) -> [BenchResult] {
        func line(
            _ what: String, _ unit: BenchResult.Unit, below budget: Double? = nil, _ value: (Found) -> Double?
        ) -> BenchResult? {
            Spread(found.compactMap(value)).map { BenchResult(what, workers: workers, unit, $0, below: budget) }
        }
        func steps(_ step: @escaping (BatchTimings) -> Double?) -> (Found) -> Double? {
            { found in Self.percentile(0.5, of: found.batches.compactMap { $0.outcome.flatMap { step($0.timings) } }) }
        }
        return [
            line("event to visible row, p50", .millis, below: Budget.medianMillis) { Self.percentile(0.5, of: $0.latencies) },
            line("event to visible row, p99", .millis, below: Budget.tailMillis) { Self.percentile(0.99, of: $0.latencies) },
            line("event to visible row, largest", .millis) { $0.latencies.max() },
            line("processor time of driver and workers", .cores, below: Budget.cores) { $0.cores },
            line("processor time that other machines took (steal)", .cores) { $0.stolenCores },
            line("batches a second", .times) { Double($0.batches.count) / $0.seconds },
            line("processor time a batch", .millis) { $0.cores * 1000 * $0.seconds / Double(max(1, $0.batches.count)) },
            line("batch: plan, p50", .millis, steps(\.planMillis)),
            line("batch: run, p50", .millis, steps(\.runMillis)),
            line("batch: seal with the sink's commits, p50", .millis, steps(\.sealMillis)),
            line("batch: catalog commit, p50", .millis, steps(\.commitMillis)),
            line("sink commits a batch", .times) { found in
                Double(found.batches.reduce(0) { $0 + ($1.outcome?.parts.count ?? 0) }) / Double(max(1, found.batches.count))
            },
        ].compactMap { $0 }
    }

    /// The smallest value that at least this share of the values do not exceed; nil of none.
    static func percentile(_ share: Double, of values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        return sorted[min(sorted.count - 1, max(0, Int((Double(sorted.count) * share).rounded(.up)) - 1))]
    }

    private static func preciseMillis() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) * 1000 + Double(time.tv_nsec) / 1e6
    }

    /// Appends 4 KiB to a file and waits for the disk.
    private static func syncMillis(in directory: String) throws -> Double {
        let path = directory + "/sync"
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw Failure(
                .notAllowed, "\(path) cannot be written", why: String(cString: strerror(errno)),
                now: "set TMPDIR to a directory on a disk that this user may write to")
        }
        defer { close(file) }
        let block = [UInt8](repeating: 7, count: 4096)
        let began = ContinuousClock.now
        guard write(file, block, block.count) == block.count, fdatasync(file) == 0 else {
            throw Failure(
                .diskFull, "\(path) could not be written", why: String(cString: strerror(errno)), now: "free space there")
        }
        return (ContinuousClock.now - began) / .milliseconds(1)
    }
}
