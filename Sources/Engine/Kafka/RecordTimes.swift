// When records were stamped, asked without reading them.
//
// Kafka answers where the first record lies that is not older than a time. So the time of an offset is found by halves: the
// smallest time whose answer lies behind the offset. All partitions are halved together, one call a step, about 30 of
// them for a year. Where stamps do not ascend the answer is the largest one up to the offset, which is what Kafka's
// own retention goes by. For commands and a look a minute, not for a loop.

import CRdKafka

extension OffsetQueries {
    /// The time of the record at each offset, in milliseconds since 1970, to within a second: the largest among the records of
    /// its partition up to it. Partitions whose records have no time, or that hold none at the offset, are left out, and all are by a broker
    /// that cannot look up by time.
    /// - Parameter nowMillis: the latest time that is looked for is a day behind it.
    package func times(at offsets: [TopicPartition: Int64], nowMillis: Int64) throws -> [TopicPartition: Int64] {
        let queries = try seeingAll()
        let doing = "look up offsets by time"
        struct Bounds {
            /// Every record up to the offset is older than `above`; not all are older than `below`.
            var below: Int64
            var above: Int64
        }
        var bounds: [TopicPartition: Bounds] = [:]
        let places = offsets.keys.sorted()
        // Nothing is older than the first millisecond: an answer at all means that this broker looks up by time.
        let first = try queries.ask(places.map { ($0, 1) }, doing: doing)
        let last = try queries.ask(places.map { ($0, nowMillis + 86_400_000) }, doing: doing)
        for place in places {
            guard let offset = offsets[place], let found = first[place]?.offset, found >= 0, found <= offset else { continue }
            // Stamped in the future: it is no older than that.
            if let late = last[place]?.offset, late >= 0, late <= offset { continue }
            bounds[place] = Bounds(below: 1, above: nowMillis + 86_400_000)
        }
        while true {
            let open = bounds.filter { $0.value.above - $0.value.below > 1000 }.keys.sorted()
            if open.isEmpty { break }
            let middles = open.map { place in (place, (bounds[place]!.below + bounds[place]!.above) / 2) }
            let found = try queries.ask(middles.map { (partition: $0.0, time: $0.1) }, doing: doing)
            for (place, middle) in middles {
                // -1: nothing is that young.
                let answer = found[place]?.offset ?? -1
                if answer >= 0, answer <= offsets[place]! {
                    bounds[place]!.below = middle
                } else {
                    bounds[place]!.above = middle
                }
            }
        }
        return bounds.mapValues(\.below)
    }
}
