// How many records the next batch of a backlog may hold: as many as take about `batch_time`, as the last batch went.
//
// Between two batches of a backlog the workers rest while rows are sealed and the log is written: some milliseconds, whatever the
// batch holds. A job that takes a million records in a tenth of a second would rest for a tenth of its time; so it takes
// more at once, and a batch that must be repeated still stays short. No batch is smaller for being slow than what the job's work may always
// hold, `max_batch_records` is never exceeded. Survives nothing: the plan says what a batch reads.
//
// Measured with `campaign-views`, 20,000,000 Avro events on two cores: batches of 1,000,000 records 8.7 to 9.4 million a second, of
// 4,000,000 10.3 to 11.2.

package struct BacklogLimit: Sendable {
    private var perMilli = 0.0

    package init() {}

    /// Takes what a batch read and how long its run and its seal took.
    package mutating func took(records: Int64, millis: Double) { perMilli = Double(records) / max(millis, 1) }

    /// - Parameters:
    ///   - most: `max_batch_records`; 0 for no bound.
    ///   - millis: `batch_time`; 0 for the whole of `most` at once.
    ///   - always: what one batch may always hold.
    package func records(most: Int64, millis: Int64, always: Int64) -> Int64 {
        if most <= always || millis == 0 { return most }
        // Offsets of a topic with holes may be any number: compared first, so that what is turned into a whole number fits.
        let wanted = perMilli * Double(millis)
        return wanted < Double(most) ? max(always, Int64(wanted)) : most
    }
}
