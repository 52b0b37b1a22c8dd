// When Kafka deletes the oldest record that a job has not read yet, at the rate at which the topic grows. Pure.
//
//   by age    the record's time + retention.ms. Kafka goes by the newest record of a segment, so this is the earliest instant
//   by size   when retention.bytes have been written behind the record: growth is taken from the offsets and times that the partition holds,
//             bytes an offset from the job's own log; what is compressed takes longer
//
// Whichever comes first. Kafka deletes whole segments, so it may keep more, never less. What is not known is said to be unknown
// and not taken for safe.

import Engine

package struct RetentionForecast: Sendable, Equatable {
    package enum Cause: String, Sendable, Codable { case age, size }

    package enum State: Sendable, Equatable {
        /// Everything is read.
        case nothingUnread
        /// So many offsets are deleted already.
        case lost(Int64)
        /// The topic deletes nothing.
        case never
        /// From then on, in milliseconds since 1970.
        case from(Int64, Cause)
        case unknown
    }

    package struct Facts: Sendable {
        package var position: Int64
        /// The first offset that Kafka holds, and the one behind the last.
        package var start: Int64
        package var end: Int64
        /// When records were stamped: the first one there, the oldest unread one, the newest; nil where Kafka does not tell.
        package var firstMillis: Int64?
        package var oldestUnreadMillis: Int64?
        package var newestMillis: Int64?
        package var settings: TopicSettings
        package var bytesPerOffset: Double?

        package init(
            position: Int64, start: Int64, end: Int64, firstMillis: Int64? = nil, oldestUnreadMillis: Int64? = nil,
            newestMillis: Int64? = nil, settings: TopicSettings, bytesPerOffset: Double? = nil
        ) {
            self.position = position
            self.start = start
            self.end = end
            self.firstMillis = firstMillis
            self.oldestUnreadMillis = oldestUnreadMillis
            self.newestMillis = newestMillis
            self.settings = settings
            self.bytesPerOffset = bytesPerOffset
        }
    }

    package var state: State
    /// How long before the deletion it is worth a warning.
    package var warnMillis: Int64

    package init(_ facts: Facts, nowMillis: Int64) {
        // A day, or a quarter of a shorter time.
        warnMillis = min(86_400_000, (facts.settings.retentionMillis ?? .max) / 4)
        state = Self.state(facts, nowMillis: nowMillis)
    }

    private static func state(_ facts: Facts, nowMillis: Int64) -> State {
        if facts.position < facts.start { return .lost(facts.start - facts.position) }
        if facts.position >= facts.end { return .nothingUnread }
        let settings = facts.settings
        guard settings.isDeleted, settings.retentionMillis != nil || settings.retentionBytes != nil else { return .never }
        var found: [(Int64, Cause)] = []
        if let age = settings.retentionMillis, let oldest = facts.oldestUnreadMillis {
            let (sum, overflows) = oldest.addingReportingOverflow(age)
            found.append((overflows ? .max : sum, .age))
        }
        if let bytes = settings.retentionBytes, let each = facts.bytesPerOffset, each > 0 {
            let room = Double(bytes) - Double(facts.end - facts.position) * each
            if room <= 0 {
                found.append((nowMillis, .size))
            } else if let first = facts.firstMillis, let newest = facts.newestMillis, newest > first {
                let bytesPerMilli = Double(facts.end - facts.start) * each / Double(newest - first)
                let left = room / bytesPerMilli
                found.append((nowMillis + Int64(min(left, 1e15)), .size))
            }
        }
        guard let soonest = found.min(by: { $0.0 < $1.0 }) else { return .unknown }
        return .from(soonest.0, soonest.1)
    }

    /// Worth a warning now: lost, or to be deleted soon.
    package func isUrgent(nowMillis: Int64) -> Bool {
        switch state {
        case .lost: true
        case .from(let time, _): time - nowMillis < warnMillis
        case .nothingUnread, .never, .unknown: false
        }
    }
}
