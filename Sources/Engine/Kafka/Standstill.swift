// A range that stands still: how long it may, when the brokers are asked again, and what is said when it is over. Both readers use it.

/// How long a range may stand still, and when the brokers are asked again who leads.
struct Standstill {
    let millis: Int
    private var deadline: ContinuousClock.Instant
    private var askAgain: ContinuousClock.Instant

    init(millis: Int) {
        self.millis = millis
        deadline = .now + .milliseconds(millis)
        askAgain = .now + .seconds(1)
    }

    mutating func moved() { self = Standstill(millis: millis) }
    func isOver(_ now: ContinuousClock.Instant) -> Bool { now > deadline }

    /// - Parameter pauseMillis: between two times.
    mutating func mayAsk(_ now: ContinuousClock.Instant, pauseMillis: Int) -> Bool {
        guard now > askAgain else { return false }
        askAgain = now + .milliseconds(pauseMillis)
        return true
    }

    /// - Parameters:
    ///   - connection: what was last said of a connection that failed.
    ///   - partition: the partition's own last error.
    static func failure(_ range: OffsetRange, at offset: Int64, millis: Int, connection: String?, partition: String?) -> Failure {
        var why = "no record or end of partition came for \(formatDuration(Int64(millis))) at offset \(offset)"
        var now = "nothing, if the brokers come back; else check them, or raise read_timeout"
        if let connection {
            why += "; the connection's last error: \(connection)"
            if let hint = ConnectionHint.of(connection) {
                if !connection.contains(hint.why) { why += "; \(hint.why)" }
                now = hint.now
            }
        }
        if let partition { why += "; the partition's last error: \(partition)" }
        return Failure(.readTimeout, "Reading \(range) stands still", why: why, now: now)
    }
}
