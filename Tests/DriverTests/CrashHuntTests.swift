import Driver
import Engine
import Testing

private func piece(_ part: Int, _ from: Int64, _ until: Int64) -> CrashHunt.Piece {
    CrashHunt.Piece(part: part, range: OffsetRange(topic: "t", partition: Int32(part), from: from, until: until))
}

private let away = Failure(.brokerUnreachable, "away", why: "made so", now: "wait")

@Suite struct CrashHuntTests {
    /// Answers every probe until the hunt ends.
    private func hunt(_ suspects: [CrashHunt.Piece], dies: ([CrashHunt.Piece]) -> Bool) -> (CrashHunt.Step, probes: Int) {
        var hunt = CrashHunt(suspects)
        var probes = 0
        while case .probe(let pieces) = hunt.step, probes < 1000 {
            #expect(!pieces.isEmpty && pieces.allSatisfy { !$0.range.isEmpty })
            probes += 1
            hunt.probed(dies(pieces) ? .died : .passed)
        }
        return (hunt.step, probes)
    }

    @Test(arguments: [1, 2, 3, 7, 100_000] as [Int64]) func `the offset is found wherever it is, by halves`(count: Int64) {
        for offset in Set([0, 1, count / 2, count - 2, count - 1]) where (0..<count).contains(offset) {
            let suspects = [piece(0, 50, 60), piece(1, 1000, 1000 + count), piece(2, 0, 3)]
            let (step, probes) = hunt(suspects) { pieces in
                pieces.contains { $0.part == 1 && $0.range.from <= 1000 + offset && 1000 + offset < $0.range.until }
            }
            let at = piece(1, 1000 + offset, 1001 + offset).range
            #expect(step == .found(at))
            #expect(probes <= 24)
        }
    }

    @Test func `what nobody dies of again is nothing, after one probe`() {
        let (step, probes) = hunt([piece(0, 0, 1000)]) { _ in false }
        #expect(step == .nothing(reason: nil) && probes == 1)
    }

    @Test func `records that are fatal only together are nothing, and no innocent one is named`() {
        let (step, _) = hunt([piece(0, 0, 1000)]) { pieces in pieces.contains { $0.range.from <= 10 && $0.range.until > 900 } }
        #expect(step == .nothing(reason: nil))
    }

    @Test func `of two fatal records one is found, and the other when that one is left out`() {
        func dies(_ fatal: [Int64]) -> ([CrashHunt.Piece]) -> Bool {
            { pieces in pieces.contains { piece in fatal.contains { piece.range.from <= $0 && $0 < piece.range.until } } }
        }
        #expect(hunt([piece(0, 0, 1000)], dies: dies([17, 900])).0 == .found(piece(0, 17, 18).range))
        #expect(hunt([piece(0, 0, 1000)], dies: dies([900])).0 == .found(piece(0, 900, 901).range))
    }

    @Test func `a probe that could not be made is made again, not for ever, and says nothing`() {
        var hunt = CrashHunt([piece(0, 0, 4)])
        hunt.probed(.died)
        #expect(hunt.pauseMillis == 0)
        for _ in 0..<4 {
            let before = hunt.step
            hunt.probed(.unknown(away))
            #expect(hunt.step == before && hunt.pauseMillis > 0)
        }
        hunt.probed(.unknown(away))
        #expect(hunt.step == .nothing(reason: away))
    }

    @Test func `where reading nothing is fatal it is the state, and no record is named`() {
        var hunt = CrashHunt([piece(0, 0, 4)], hasControl: true)
        #expect(hunt.step == .probe([]))
        hunt.probed(.died)
        guard case .nothing(let reason?) = hunt.step else { return #expect(Bool(false), "\(hunt.step)") }
        #expect(reason.what.contains("state"))
        var other = CrashHunt([piece(0, 0, 4)], hasControl: true)
        other.probed(.passed)
        #expect(other.step == .probe([piece(0, 0, 4)]))
    }
}
