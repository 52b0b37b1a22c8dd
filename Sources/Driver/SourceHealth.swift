// What a look at a job's topic tells beside its ends: what open transactions hide, and what Kafka is about to delete.
//
// A reader of committed records sees a partition up to its last stable offset. A transaction that hangs holds that for ever: the
// lag is 0 and nothing comes. So the high watermark is asked as well, and since when the first hidden record lies there.
// `look` is for commands and for a look now and then; it decides nothing.

import Engine

package struct PartitionHealth: Sendable, Equatable {
    package var partition: TopicPartition
    package var position: Int64
    package var start: Int64
    /// Where committed records end, and where all do.
    package var lastStable: Int64
    package var highWatermark: Int64
    /// When the first hidden record was stamped; nil for none, or where Kafka does not tell.
    package var invisibleSinceMillis: Int64?
    package var retention: RetentionForecast

    package init(
        partition: TopicPartition, position: Int64, start: Int64, lastStable: Int64, highWatermark: Int64,
        invisibleSinceMillis: Int64? = nil, retention: RetentionForecast
    ) {
        self.partition = partition
        self.position = position
        self.start = start
        self.lastStable = lastStable
        self.highWatermark = highWatermark
        self.invisibleSinceMillis = invisibleSinceMillis
        self.retention = retention
    }

    /// Offsets that are stored and that no reader of committed records is shown.
    package var invisible: Int64 { max(0, highWatermark - lastStable) }

    /// One line for a person about what needs one; nil while nothing does.
    package func warning(nowMillis: Int64) -> String? {
        guard retention.isUrgent(nowMillis: nowMillis) else { return nil }
        switch retention.state {
        case .lost(let count): return "\(partition): \(count) offsets were deleted by Kafka before they were read"
        case .from(let time, let cause):
            return "\(partition): records that are not read yet are deleted from \(formatTime(time)) on, by \(cause.rawValue)"
        case .nothingUnread, .never, .unknown: return nil
        }
    }
}

package struct SourceHealth: Sendable, Equatable {
    package var atMillis: Int64
    /// Sorted by partition.
    package var partitions: [PartitionHealth]

    package init(atMillis: Int64, partitions: [PartitionHealth]) {
        self.atMillis = atMillis
        self.partitions = partitions
    }

    package var invisible: Int64 { partitions.reduce(0) { $0 + $1.invisible } }
    package var invisibleSinceMillis: Int64? { partitions.compactMap(\.invisibleSinceMillis).min() }

    /// When the first unread record of any partition is deleted.
    package var deletedFromMillis: Int64? {
        partitions.compactMap { if case .from(let time, _) = $0.retention.state { time } else { nil } }.min()
    }

    /// What a person should know now, a line each.
    package var warnings: [String] {
        var lines = partitions.compactMap { $0.warning(nowMillis: atMillis) }
        if let text = Self.invisibleText(invisible, since: invisibleSinceMillis) { lines.append(text) }
        return lines
    }

    /// Records that were written a moment ago in a transaction that will end are no news.
    package func isHanging(nowMillis: Int64) -> Bool {
        invisible > 0 && nowMillis - (invisibleSinceMillis ?? nowMillis) > 60_000
    }

    package static func invisibleText(_ count: Int64, since millis: Int64?) -> String? {
        guard count > 0 else { return nil }
        let since = millis.map { " since \(formatTime($0))" } ?? ""
        return "\(count) offsets are hidden behind an open transaction\(since); Kafka's transactions tool (find-hanging, abort) ends one that hangs"
    }

    /// - Parameters:
    ///   - topic: asked for how it is kept.
    ///   - positions: where the job stands.
    ///   - bytesPerOffset: as the job's log knows it.
    /// - Throws: an outage. What a broker cannot tell or may not be asked is left out.
    package static func look(
        _ queries: OffsetQueries, topic: String, positions: [TopicPartition: Int64], bytesPerOffset: Double?, nowMillis: Int64
    ) throws -> SourceHealth {
        let places = positions.keys.sorted()
        let starts = try queries.starts(places)
        let stable = try queries.ends(places)
        let all = try queries.highWatermarks(places)
        var settings: TopicSettings?
        do { settings = try queries.settings(of: topic) } catch let refused as Failure where refused.code == .notAllowed || refused.code == .kafkaFatal {
            Log.debug("topic's settings not told", [("topic", topic), ("why", refused.why)])
        }
        func times(_ offsets: [TopicPartition: Int64]) throws -> [TopicPartition: Int64] {
            if offsets.isEmpty { return [:] }
            // The embedded broker does not look up by time.
            if try queries.isEmbeddedBroker() { return [:] }
            return try queries.times(at: offsets, nowMillis: nowMillis)
        }
        let hidden = try times(stable.filter { all[$0.key] ?? 0 > $0.value })
        let unread = positions.filter { place, position in
            position >= starts[place] ?? 0 && position < all[place] ?? 0 && settings?.isDeleted == true
        }
        let oldest = settings?.retentionMillis == nil && settings?.retentionBytes == nil ? [:] : try times(unread)
        let sized = settings?.retentionBytes == nil ? [:] : unread
        let first = try times(sized.reduce(into: [:]) { $0[$1.key] = starts[$1.key] ?? 0 })
        let newest = try times(sized.reduce(into: [:]) { $0[$1.key] = max(0, (all[$1.key] ?? 1) - 1) })
        return SourceHealth(
            atMillis: nowMillis,
            partitions: places.map { place in
                let (position, start, end) = (positions[place]!, starts[place] ?? 0, all[place] ?? 0)
                var forecast = RetentionForecast(
                    .init(
                        position: position, start: start, end: end, firstMillis: first[place],
                        oldestUnreadMillis: oldest[place], newestMillis: newest[place],
                        settings: settings ?? TopicSettings(retentionMillis: nil, retentionBytes: nil),
                        bytesPerOffset: bytesPerOffset), nowMillis: nowMillis)
                if settings == nil, forecast.state == .never { forecast.state = .unknown }
                return PartitionHealth(
                    partition: place, position: position, start: start, lastStable: stable[place] ?? end,
                    highWatermark: end, invisibleSinceMillis: hidden[place], retention: forecast)
            })
    }
}
