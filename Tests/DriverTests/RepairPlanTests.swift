import Driver
import Engine
import Testing

@Suite struct RepairPlanTests {
    private func plan(
        _ batches: ClosedRange<BatchNumber>? = nil, isTopic: Bool = false, _ change: (inout SinkVerdict.Facts) -> Void = { _ in }
    ) throws -> RepairPlan {
        try RepairPlan.decide(SinkVerdictTests.facts(change), RepairOrder(batches: batches), isTopic: isTopic)
    }

    private func refusal(
        _ batches: ClosedRange<BatchNumber>? = nil, isTopic: Bool = false, _ change: (inout SinkVerdict.Facts) -> Void = { _ in }
    ) -> String {
        do {
            return "\(try plan(batches, isTopic: isTopic, change))"
        } catch { return "\((error as? Failure).map { "\($0)" } ?? "\(error)")" }
    }

    @Test func `a sink that fits needs nothing`() throws {
        #expect(try plan() == .nothing)
    }

    @Test func `an older copy gets the batches behind its ledger`() throws {
        let older: (inout SinkVerdict.Facts) -> Void = {
            $0.sight!.parts[0] = SinkSight.Part(batch: 2, digest: "d2", witness: .found)
        }
        #expect(try plan(nil, older) == .runAgain(3...4))
        // Batches in the middle would overtake those.
        #expect(refusal(4...4, older).contains("without --batches first"))
        #expect(try plan(1...4, older) == .runAgain(3...4))
    }

    @Test(arguments: ["gone", "emptied", "owner"]) func `a table that was lost is written anew, whole or not at all`(loss: String) throws {
        let lost: (inout SinkVerdict.Facts) -> Void = {
            switch loss {
            case "gone": $0.sight!.table = nil
            case "emptied": $0.sight!.parts[0]!.witness = .gone
            default: $0.sight!.owner = .nobody
            }
        }
        #expect(try plan(nil, lost) == .writeAnew(1...4))
        #expect(refusal(2...3, lost).contains("later ones would be missing"))
        let partly: (inout SinkVerdict.Facts) -> Void = {
            lost(&$0)
            $0.canRunFrom = 3
            $0.lacks = "Kafka has deleted records"
        }
        #expect(refusal(nil, partly).contains("--batches 3..4"))
        #expect(try plan(3...4, partly) == .writeAnew(3...4))
        #expect(
            refusal(
                nil,
                {
                    lost(&$0); $0.replacesRows = false
                }
            ).contains("only be repaired behind its ledger"))
        #expect(refusal(nil, isTopic: true, lost).contains("only be repaired behind its ledger"))
    }

    @Test func `a repair that died in the middle goes on where its parts stand`() throws {
        // The ledger was emptied by the claim, and nothing is sealed yet: all that was named, once more.
        let emptied: (inout SinkVerdict.Facts) -> Void = {
            $0.sight!.parts = [:]
            $0.canRunFrom = 3
        }
        #expect(try plan(3...4, emptied) == .runAgain(3...4))
        #expect(refusal(nil, emptied).contains("lacks batches"))
    }

    @Test func `a sink with another fault beside a missing ledger row is not written, whatever batches are named`() {
        func two(_ other: SinkSight.Part) -> String {
            refusal(3...4) {
                $0.seals = [SealMark(part: 0, batch: 4, digest: "d4"), SealMark(part: 1, batch: 4, digest: "e4")]
                $0.sight!.parts = [1: other]
                $0.canRunFrom = 3
            }
        }
        #expect(two(.init(batch: 4, digest: "e4", witness: .found)).contains("runAgain"))
        #expect(two(.init(batch: 4, digest: "other", witness: .found)).contains("something else"))
        #expect(two(.init(batch: 9, digest: "e9", witness: .found)).contains("ahead of the log"))
    }

    @Test func `batches that are named are rewritten where rows replace themselves and can run again`() throws {
        #expect(try plan(2...3) == .rewrite(2...3))
        #expect(try plan(3...90) == .rewrite(3...4))
        #expect(refusal(9...9).contains("no batch 9"))
        #expect(refusal(1...2) { $0.canRunFrom = 2 }.contains("cannot run again"))
        #expect(refusal(2...3) { $0.replacesRows = false }.contains("twice"))
        #expect(refusal(2...3, isTopic: true).contains("a topic gets records at its end"))
    }

    @Test func `a mistyped sink and one that is ahead of the log are never written`() {
        #expect(
            refusal(nil) {
                $0.place = "sqlite:snik.db views"
                $0.sight = SinkSight(owner: .nobody, table: nil)
            }.contains("the settings name"))
        #expect(refusal(nil) { $0.sight!.parts[0] = SinkSight.Part(batch: 9, digest: "x", witness: .found) }.contains("ahead of the log"))
        #expect(refusal(1...4) { $0.sight!.parts[0] = SinkSight.Part(batch: 4, digest: "other", witness: .found) }.contains("something else"))
    }
}
