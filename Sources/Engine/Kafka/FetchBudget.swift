// How a reader's memory is divided over the partitions that it prefetches from: pure numbers.
//
// librdkafka bounds each partition's queue by messages and by bytes of payload, whichever is reached first, and goes over
// either by at most one fetch answer. A message costs more than its payload (the operation object around it), so a bound
// in bytes alone lets small messages take many times the budget: both bounds are derived from one share. The limits are
// fixed when a consumer is made, so the division goes by powers of two: a partition more or less rarely changes it.
//
// Measured with librdkafka 2.16, 2,000,000 records in 4 partitions, budget 48 MiB, queues left to fill before reading:
//
//   records                 fetch answer   resident at most   client CPU, us a record
//   150 bytes               768 KiB        56 MiB             0.41
//   150 bytes               256 KiB        58 MiB             0.36-0.45
//   244 bytes               256 KiB        68 MiB             0.42-0.50
//   10,000 bytes            768 KiB        68 MiB
//   150 bytes, zstd 100:1   768 KiB        687 MiB            0.27
//   150 bytes, zstd 100:1   256 KiB        300 MiB            0.31
//
// The last two are the worst that compression can do: an answer is bounded as it is on the wire, and each queue is over
// its bound by what one answer unpacks to. So answers are small; their size costs nothing measurable.
// `fetch.queue.backoff.ms` with full queues: 0 keeps a thread spinning (0.14 of a core and more, for as long as a reader
// that follows has nothing to do), 2 costs 0.02 and reads as fast, with small budgets too (4 MiB: 0.43 against 0.61 us
// a record). Without the setting a full queue is looked at after a second.
//
// One batch alone may be a bomb. The client refuses a zstd batch that unpacks to more than `receive.message.max.bytes`
// (900 MB of zeros: 71 MiB, then an error that stops the job; from half of it on it depends on how its guesses double);
// lz4 and gzip it unpacks whatever comes (818 and 887 MiB), so there the topic's `max.message.bytes` is the bound, times
// 255 or 1,032. See the decision note on compression.
//
// How much is enough: `campaign-views` on two workers, two partitions each, four rounds in turn. Peak memory of a worker and
// millions of events a second: budget 48 MiB 69 MiB 1.7, 16 MiB 57 MiB 1.7, 14 MiB 55 MiB 1.8, 12 MiB 53 MiB 1.4. The same
// worker with nothing waiting: 47 MiB. So 14 MiB is the default: more buys nothing but memory.
//
// When changing a number here: measure the resident memory and the rate again.

package struct FetchBudget: Sendable, Hashable {
    package var bytes: Int

    package init(bytes: Int) { self.bytes = max(Self.leastShareBytes, bytes) }

    /// Below this share a queue holds less than a fetch answer, and prefetching only costs.
    static let leastShareBytes = 256 << 10
    /// What librdkafka allocates for a message beside its payload.
    static let messageOverheadBytes = 384

    /// How many partitions may prefetch at once; more are read in turns.
    package var mostStanding: Int { bytes / Self.leastShareBytes }

    /// The limits of a consumer that prefetches from `shares` partitions at once.
    package struct Division: Sendable, Hashable {
        /// A power of two.
        package var shares: Int
        package var shareBytes: Int
        /// The bound in messages (`queued.min.messages`), which binds for small records.
        package var queuedMessages: Int
        /// The bound in payload (`queued.max.messages.kbytes`), which binds for large ones.
        package var queuedKilobytes: Int
        /// What one fetch answer may bring for a partition.
        package var fetchBytes: Int
    }

    /// The division for this number of partitions.
    package func division(partitions: Int) -> Division {
        let standing = max(1, min(partitions, mostStanding))
        var shares = 1
        while shares < standing { shares *= 2 }
        return division(shares: shares)
    }

    /// The division to go on with: the current one while it fits and does not waste more than three quarters.
    package func division(partitions: Int, current: Division?) -> Division {
        let wanted = division(partitions: partitions)
        guard let current, current.shares >= wanted.shares, current.shares <= wanted.shares * 4 else { return wanted }
        return current
    }

    private func division(shares: Int) -> Division {
        let share = max(Self.leastShareBytes / 2, bytes / shares)
        // Half of the share for the queue, the rest for the fetch answers that go over it.
        let fetch = min(1 << 18, max(1 << 16, share / 8))
        return Division(
            shares: shares, shareBytes: share, queuedMessages: max(500, share / 2 / (Self.messageOverheadBytes + 128)),
            queuedKilobytes: max(64, share / 2 / 1024), fetchBytes: fetch)
    }
}
