// What Sluice costs beside the rows: time to the first batch, work of a batch with nothing in it, memory (design 9).
//
// Everything is measured on the real binary from outside, in runs that alternate between one process and driver with
// workers, so that a disturbed minute of the machine falls on both. What is judged is the median over the runs.
//
//   start    process start to the arrival of the first batch line, a small backlog waiting
//   batch    a standing job gets one event at a time; the steps of each batch as the batch itself tells them. Two of
//            three events are no views and make no row: those batches are the empty ones that are judged. Work is
//            planning, running and sealing; the catalog's commit is mostly its fsync and stands apart. "planned to
//            done" is the clock's view of the same batch and holds also what no step counts, the fsync of the plan.
//   memory   high-water mark of each process when the backlog is done, small, large and over 1,000 partitions: the budget
//            holds for all
//   decoder  the Avro program alone, in this process, on chunks as a worker has them
//
// It does not measure the speed of rows.

import Driver
import Engine

struct OverheadBench {
    var place: BenchPlace
    var runs: Int
    var workers: Int
    /// Of the large backlog.
    var largeEvents: Int
    /// Told between the steps; a bench takes minutes.
    var progress: (String) -> Void
    var note: (String) -> Void

    static let smallEvents = 10_000
    static let singles = 100
    static let manyPartitions = 1000
    /// Batches that warm up connections, caches and the workers' states.
    static let warmups = 10

    /// What is held against the measurements.
    enum Budget {
        static let startMillis = 500.0
        static let workMillis = 5.0
        static let workInProcessMillis = 2.0
        static let driverMebibytes = 64.0
        /// 48 MB.
        static let workerMebibytes = 48e6 / 1_048_576
        static let decodingNanos = 30.0
    }

    func run() throws -> [BenchResult] {
        progress("sending \(grouped(Int64(Self.smallEvents))) events")
        let small = try place.traffic("small", events: Self.smallEvents)
        var found = try start(topic: small.topic)
        found += try batches()
        found += try memory(topic: small.topic, "\(grouped(Int64(Self.smallEvents))) events waiting", events: Self.smallEvents)
        let large = fitting(largeEvents, meanBytes: small.meanBytes)
        if large < largeEvents {
            note(
                "\(grouped(Int64(largeEvents))) events do not fit into the embedded broker; the large backlog is "
                    + "\(grouped(Int64(large)))")
        }
        progress("sending \(grouped(Int64(large))) events")
        found += try memory(topic: try place.traffic("large", events: large).topic, "\(grouped(Int64(large))) events waiting", events: large)
        if !place.isEmbedded {
            progress("sending \(grouped(Int64(large))) events to \(grouped(Int64(Self.manyPartitions))) partitions")
            let wide = try place.traffic("wide", events: large, partitions: Self.manyPartitions).topic
            found += try memory(topic: wide, "\(grouped(Int64(Self.manyPartitions))) partitions", events: large)
        }
        found.append(try DecoderBench.result(.avro, below: Budget.decodingNanos))
        found.append(try DecoderBench.result(.json))
        return found
    }

    /// Both ways to run, in turn.
    private func alternate(_ what: String, _ modes: [Int], _ body: (Int) throws -> Void) throws {
        for run in 1...runs {
            for workers in modes {
                progress("\(what), \(workers == 0 ? "one process" : "\(workers) workers"), run \(run) of \(runs)")
                try body(workers)
            }
        }
    }

    private var modes: [Int] { [0, workers] }

    // MARK: start

    private func start(topic: String) throws -> [BenchResult] {
        var first: [Int: [Double]] = [:]
        try alternate("start", modes) { workers in
            let run = try place.run(topic: topic, workers: workers, ["--until-caught-up"])
            defer { run.end() }
            first[workers, default: []].append(try run.next().arrivedMillis)
            try run.finish()
        }
        let what = "start to first batch, \(grouped(Int64(Self.smallEvents))) events waiting"
        return modes.compactMap { workers in
            Spread(first[workers] ?? []).map {
                BenchResult(what, workers: workers, .millis, $0, below: Budget.startMillis)
            }
        }
    }

    // MARK: batches

    private func batches() throws -> [BenchResult] {
        var medians: [Int: [String: [Double]]] = [:]
        var names: [String] = []
        var sent: Int64 = 1
        let topic = try place.traffic("single", events: 1).topic
        try alternate("batches of one event each", modes) { workers in
            let run = try place.run(topic: topic, workers: workers, ["--interval", "0", "--poll", "5ms"])
            defer { run.end() }
            try run.next(untilOffsets: sent)
            let single = try SingleEvents(place.kafka, topic: topic, count: Self.warmups + Self.singles)
            var values: [String: [Double]] = [:]
            for number in 0..<single.count {
                let began = ContinuousClock.now
                try single.send(number)
                sent += 1
                let line = try run.next(untilOffsets: sent)
                let seen = (ContinuousClock.now - began) / .milliseconds(1)
                guard number >= Self.warmups else { continue }
                guard
                    let steps = BatchSteps.steps(
                        timings: line.batch.timings, rowsOut: line.batch.rowsOut, plannedAt: line.batch.plannedAt,
                        doneAt: line.batch.doneAt, sentToSeenMillis: seen)
                else {
                    throw Failure(
                        .internal, "batch \(line.batch.batch) has no timings", why: "its line does not hold them",
                        now: "report this")
                }
                for step in steps {
                    if !names.contains(step.name) { names.append(step.name) }
                    values[step.name, default: []].append(step.millis)
                }
            }
            for (name, millis) in values {
                guard let spread = Spread(millis) else { continue }
                medians[workers, default: [:]][name, default: []].append(spread.median)
            }
        }
        // Those of the empty batch first, whichever came first.
        let shown = names.filter { $0.hasPrefix("empty") } + names.filter { !$0.hasPrefix("empty") }
        return modes.flatMap { workers in
            shown.compactMap { name in
                Spread(medians[workers]?[name] ?? []).map { spread in
                    BenchResult(
                        name, workers: workers, .millis, spread,
                        below: name != BatchSteps.workName
                            ? nil : workers == 0 ? Budget.workInProcessMillis : Budget.workMillis)
                }
            }
        }
    }

    // MARK: memory

    private func memory(topic: String, _ waiting: String, events: Int) throws -> [BenchResult] {
        var (driver, worker): ([Double], [Double]) = ([], [])
        try alternate("memory, \(waiting)", [workers]) { workers in
            let run = try place.run(topic: topic, workers: workers, ["--interval", "0", "--poll", "5ms"])
            defer { run.end() }
            try run.next(untilOffsets: Int64(events))
            let peaks = try run.peaks()
            guard peaks.workers.count == workers, let most = peaks.workers.max() else {
                throw Failure(
                    .notPossible, "the memory of \(workers) workers could not be measured",
                    why: "\(peaks.workers.count) of them were there when the backlog was done",
                    now: "run the bench again; if it stays so, `sluice run --workers \(workers)` tells why")
            }
            driver.append(Self.mebibytes(peaks.driver))
            worker.append(Self.mebibytes(most))
        }
        return [
            Spread(driver).map {
                BenchResult(
                    "peak memory of the driver, \(waiting)", workers: workers, .mebibytes, $0,
                    below: Budget.driverMebibytes)
            },
            Spread(worker).map {
                BenchResult(
                    "peak memory of the largest worker, \(waiting)", workers: workers, .mebibytes, $0,
                    below: Budget.workerMebibytes)
            },
        ].compactMap { $0 }
    }

    private static func mebibytes(_ bytes: Int64) -> Double { Double(bytes) / 1_048_576 }

    /// As many of `events` as the broker keeps.
    private func fitting(_ events: Int, meanBytes: Double) -> Int {
        guard place.isEmbedded else { return events }
        return EmbeddedRoom.most(of: events, meanBytes: meanBytes, partitions: BenchPlace.partitions)
    }
}

/// What one batch says about itself, and what was seen of it from outside.
package enum BatchSteps {
    package static let workName = "empty batch: work (plan + run + seal)"

    /// By name, in the order in which they are shown; nil when the batch is not done.
    ///
    /// A batch whose event makes no row is the empty one. One that makes a row also waits for the sink's disk, and
    /// tells only what differs for that.
    package static func steps(
        timings: BatchTimings?, rowsOut: Int64?, plannedAt: String, doneAt: String?, sentToSeenMillis: Double
    ) -> [(name: String, millis: Double)]? {
        guard let timings, let commitMillis = timings.commitMillis, let rowsOut, let planned = parseTime(plannedAt), let done = doneAt.flatMap({ parseTime($0) })
        else { return nil }
        let work = timings.planMillis + timings.runMillis + timings.sealMillis
        guard rowsOut == 0 else {
            return [
                ("batch of one row: seal, with the sink's commit", timings.sealMillis),
                ("batch of one row: work (plan + run + seal)", work),
            ]
        }
        return [
            ("empty batch: plan", timings.planMillis), ("empty batch: run", timings.runMillis),
            ("empty batch: seal", timings.sealMillis), (workName, work),
            ("empty batch: catalog commit, apart", commitMillis),
            ("empty batch: planned to done", Double(done - planned)),
            ("empty batch: event sent to seen as committed", sentToSeenMillis),
        ]
    }
}

extension EmbeddedRoom {
    /// As many of `wanted` events as are kept, in thousands; a tenth is left free, because lengths differ.
    package static func most(of wanted: Int, meanBytes: Double, partitions: Int) -> Int {
        func fits(_ count: Int) -> Bool {
            EmbeddedRoom(recordsBefore: 0, events: count + count / 9, meanBytes: meanBytes, partitions: partitions)
                .neededPartitions <= partitions
        }
        if fits(wanted) { return wanted }
        var (low, high) = (0, wanted)
        while high - low > 1 {
            let middle = (low + high) / 2
            if fits(middle) { low = middle } else { high = middle }
        }
        return low >= 1000 ? low - low % 1000 : max(1, low)
    }
}

/// Events that are sent one at a time, each known to the broker before the next.
private final class SingleEvents {
    let count: Int
    private let topic: String
    private let producer: KafkaProducer
    private let buffer: EventBuffer

    init(_ kafka: KafkaConfiguration, topic: String, count: Int) throws {
        self.count = count
        self.topic = topic
        producer = try KafkaProducer(kafka, lingerMillis: 0)
        buffer = EventBuffer(capacity: count)
        _ = try AdEventGenerator(BenchPlace.traffic(events: count)).fill(
            buffer, from: 0, until: count, partition: 0, of: 1, tally: nil)
    }

    func send(_ number: Int) throws {
        try producer.send(
            topic: topic, partition: Int32(number % BenchPlace.partitions), value: buffer.record(number),
            timestampMillis: buffer.timestampMillis(number))
        try producer.flush()
    }
}
