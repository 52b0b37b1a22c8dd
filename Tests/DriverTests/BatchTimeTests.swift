import Driver
import Engine
import Testing

/// The time of the next batch, out of clocks that may be wrong.
struct BatchTimeTests {
    private static let noon: Int64 = 1_795_955_559_472
    private static let minute: Int64 = 60_000
    private static let hour = 60 * minute
    private static let day = 24 * hour

    private func next(
        last: Int64?, own: Int64 = noon, catalog: Int64 = noon, passed: Int64? = 500
    ) throws -> BatchTime {
        try BatchTime.next(job: "views", lastMillis: last, ownMillis: own, catalogMillis: catalog, passedMillis: passed)
    }

    @Test func `a batch is cut now while the clocks agree`() throws {
        #expect(try next(last: nil) == BatchTime(millis: Self.noon, notices: []))
        #expect(try next(last: Self.noon - 500) == BatchTime(millis: Self.noon, notices: []))
        #expect(try next(last: Self.noon - 500, own: Self.noon + 30_000).millis == Self.noon + 30_000)
        #expect(try next(last: Self.noon - 500, own: Self.noon - 30_000).millis == Self.noon - 500)
    }

    @Test func `a driver's clock two days ahead no longer rejects good rows nor folds history`() throws {
        let time = try next(last: Self.noon - 500, own: Self.noon + 2 * Self.day)
        #expect(time.millis == Self.noon + Self.minute && time.notices.first == .ownClockOff(byMillis: 2 * Self.day))
    }

    @Test func `a driver's clock two hours behind no longer stands still until good rows are in the future`() throws {
        let time = try next(last: Self.noon - 5 * Self.minute, own: Self.noon - 2 * Self.hour, passed: 5 * Self.minute)
        #expect(time.millis == Self.noon - Self.minute && time.notices == [.ownClockOff(byMillis: -2 * Self.hour)])
    }

    @Test func `batch times never go back`() throws {
        for ahead in [0, 1, 500, 59_999, 60_000] as [Int64] {
            #expect(try next(last: Self.noon + ahead).millis == Self.noon + ahead)
        }
    }

    @Test func `clocks that both went back stop the job and name the flag`() {
        for ahead in [Self.minute + 1, 2 * Self.hour, 2 * Self.day] {
            let failure = #expect(throws: Failure.self) { try next(last: Self.noon + ahead) }
            #expect(failure?.code == .clockBack && failure?.remedy == .stopJob && failure?.now.contains("--reset-time") == true)
        }
    }

    @Test func `a leap that the catalog's clock confirms is followed and said`() throws {
        let week = 7 * Self.day
        #expect(
            try next(last: Self.noon - week, passed: nil)
                == BatchTime(millis: Self.noon, notices: [.leap(fromMillis: Self.noon - week, toMillis: Self.noon)]))
        #expect(try next(last: Self.noon - 2 * Self.minute, passed: 500).notices.count == 1)
        // Nothing came for a day: no leap, the process saw it pass.
        #expect(try next(last: Self.noon - Self.day, passed: Self.day).notices == [])
        #expect(try next(last: Self.noon - 30 * Self.minute, passed: nil).notices == [])
    }
}
