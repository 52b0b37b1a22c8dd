// What a start makes of its sink: cases by name, and every small world with every damage.

import Driver
import Engine
import Testing

@Suite struct SinkVerdictTests {
    typealias Facts = SinkVerdict.Facts

    static let id = JobID(text: String(repeating: "a", count: 32))

    /// A job of one part that is at batch 4, with rows in batches 1, 2 and 4, and a sink that fits.
    static func facts(_ change: (inout Facts) -> Void = { _ in }) -> Facts {
        var facts = Facts(
            job: "views", place: "sqlite:sink.db views",
            begun: Catalog.BegunTable(place: "sqlite:sink.db views", identity: "m"),
            sight: SinkSight(
                owner: .job(id, 1), table: "m", isSameTable: true,
                parts: [0: SinkSight.Part(batch: 4, digest: "d4", witness: .found)]),
            seals: [SealMark(part: 0, batch: 4, digest: "d4")],
            history: [1, 2, 4].map { SealMark(part: 0, batch: $0, digest: "d\($0)") }, open: nil, last: 4, canRunFrom: 1,
            replacesRows: true)
        change(&facts)
        return facts
    }

    func refusal(_ change: (inout Facts) -> Void) -> Failure? {
        if case .refuse(let failure) = SinkVerdict.decide(Self.facts(change)) { failure } else { nil }
    }

    @Test func `a sink that holds what the log says is gone on with`() {
        #expect(SinkVerdict.decide(Self.facts()) == .goOn)
        // A planned batch that is sealed already is compared when it has run again.
        let open = Self.facts {
            $0.open = 5; $0.sight!.parts[0] = SinkSight.Part(batch: 5, digest: "?", witness: .found)
        }
        #expect(SinkVerdict.decide(open) == .goOn)
        // A backfill may have written over the witness's key.
        #expect(SinkVerdict.decide(Self.facts { $0.sight!.parts[0]!.witness = .changed }) == .goOn)
        #expect(SinkVerdict.decide(Self.facts { $0.sight = nil }) == .goOn)
        // VACUUM FULL, or a dump that was read back: another table with all rows.
        #expect(SinkVerdict.decide(Self.facts { $0.sight!.isSameTable = false }) == .goOn)
    }

    @Test func `a new log begins its table, and begins it again as long as no claim was written down`() {
        func new(_ change: (inout Facts) -> Void = { _ in }) -> Facts {
            Self.facts {
                $0.seals = []
                $0.history = []
                $0.last = 0
                $0.begun = nil
                $0.sight = SinkSight(owner: .nobody, table: nil)
                change(&$0)
            }
        }
        #expect(SinkVerdict.decide(new()) == .begin)
        #expect(SinkVerdict.decide(new { $0.sight!.table = "m" }) == .begin)
        #expect(SinkVerdict.decide(new { $0.begun = Catalog.BegunTable(place: $0.place) }) == .begin)
        let claimed = new {
            $0.begun = Catalog.BegunTable(place: $0.place)
            $0.sight = SinkSight(owner: .job(Self.id, 1), table: "m", isSameTable: true)
        }
        #expect(SinkVerdict.decide(claimed) == .goOn)
        // A log of an earlier build has no table as begun, and its sink is there.
        #expect(
            SinkVerdict.decide(
                Self.facts {
                    $0.begun = nil; $0.sight!.isSameTable = nil; $0.sight!.parts[0]!.witness = .unknown
                }) == .begin)
    }

    @Test func `a table that was dropped, a file that was removed and a mistyped sink are refused by name`() throws {
        let dropped = try #require(
            refusal {
                $0.sight!.table = nil; $0.sight!.parts[0]!.witness = .gone
            })
        #expect(dropped.code == .sinkMismatch && dropped.why.contains("not there any more") && dropped.now.contains("sluice repair views"))
        let removed = try #require(refusal { $0.sight = SinkSight(owner: .nobody, table: nil) })
        #expect(removed.why.contains("not there any more") && removed.why.contains("batch 4"))
        let mistyped = try #require(
            refusal {
                $0.place = "sqlite:snik.db views"; $0.sight = SinkSight(owner: .nobody, table: nil)
            })
        #expect(mistyped.why.contains("sqlite:sink.db") && mistyped.why.contains("sqlite:snik.db") && mistyped.now.contains("--sink"))
        let unknown = try #require(refusal { $0.sight = SinkSight(owner: .nobody, table: "other") })
        #expect(unknown.why.contains("does not know the job"))
        // Before the first batch too: once a claim is written down, the table was there.
        let early = try #require(
            refusal {
                $0.last = 0; $0.seals = []; $0.history = []; $0.sight = SinkSight(owner: .nobody, table: nil)
            })
        #expect(early.code == .sinkMismatch)
    }

    @Test func `a table that was emptied, made anew or put back alone is refused`() throws {
        let emptied = try #require(refusal { $0.sight!.parts[0]!.witness = .gone })
        #expect(emptied.why.contains("are gone"))
        let anew = try #require(
            refusal {
                $0.sight!.isSameTable = false; $0.sight!.parts[0]!.witness = .gone
            })
        #expect(anew.why.contains("made anew or emptied"))
        let older = try #require(
            refusal {
                $0.sight!.isSameTable = false; $0.sight!.parts[0]!.witness = .changed
            })
        #expect(older.why.contains("older rows"))
        let topic = try #require(
            refusal {
                $0.sight!.isSameTable = nil; $0.sight!.table = "n"; $0.sight!.parts[0]!.witness = .unknown
            })
        #expect(topic.why.contains("made anew"))
    }

    @Test func `an older copy of the sink gets the missing batches again, if they can be run`() throws {
        func older(_ batch: BatchNumber) -> (inout Facts) -> Void {
            { $0.sight!.parts[0] = SinkSight.Part(batch: batch, digest: "d\(batch)", witness: .found) }
        }
        #expect(SinkVerdict.decide(Self.facts(older(2))) == .runAgain(3...4))
        #expect(SinkVerdict.decide(Self.facts(older(1))) == .runAgain(2...4))
        let kept = try #require(
            refusal {
                older(1)(&$0); $0.canRunFrom = 3; $0.lacks = "batches up to 2 are folded"
            })
        #expect(kept.code == .ledgerConflict && kept.what.contains("batches 2 to 4") && kept.why.contains("folded"))
        #expect(kept.now.contains("sluice repair views"))
        let empty = Self.facts { $0.sight!.parts = [:] }
        #expect(SinkVerdict.decide(empty) == .runAgain(1...4))
        // Rows without a key may be there though the ledger is not.
        #expect(
            refusal {
                $0.sight!.parts = [:]; $0.replacesRows = false
            }?.why.contains("ledger of part 0 is gone") == true)
    }

    /// Part 1 was at batch 1 and lacks batch 2; part 0, which keys of part 1 have gone to, is at batch 4.
    private static func uneven(_ change: (inout Facts) -> Void = { _ in }) -> Facts {
        facts {
            $0.seals.append(SealMark(part: 1, batch: 2, digest: "e2"))
            $0.history += [1, 2].map { SealMark(part: 1, batch: $0, digest: "e\($0)") }
            $0.sight!.parts[1] = SinkSight.Part(batch: 1, digest: "e1", witness: .found)
            $0.keepsNewest = true
            change(&$0)
        }
    }

    @Test func `an older total of a part that lags never covers a newer one that another part wrote`() throws {
        #expect(SinkVerdict.decide(Self.uneven()) == .writeAnew(1...4))
        // Rows that are written once do not mind.
        #expect(SinkVerdict.decide(Self.uneven { $0.keepsNewest = false }) == .runAgain(2...4))
        // The planned batch counts, too.
        let open = Self.uneven {
            $0.open = 5
            $0.sight!.parts[0] = SinkSight.Part(batch: 5, digest: "?", witness: .found)
            $0.sight!.parts[1] = SinkSight.Part(batch: 2, digest: "e2", witness: .found)
            $0.seals[1] = SealMark(part: 1, batch: 4, digest: "e4")
            $0.history.append(SealMark(part: 1, batch: 4, digest: "e4"))
        }
        #expect(SinkVerdict.decide(open) == .writeAnew(1...4))
        // A copy of one moment goes on behind it.
        let copy = Self.uneven { $0.sight!.parts[0] = SinkSight.Part(batch: 2, digest: "d2", witness: .found) }
        #expect(SinkVerdict.decide(copy) == .runAgain(2...4))
        guard case .refuse(let failure) = SinkVerdict.decide(Self.uneven { $0.canRunFrom = 2 }) else {
            Issue.record("not refused")
            return
        }
        #expect(failure.code == .ledgerConflict)
    }

    @Test func `a sink ahead of its log, and one with another digest, are refused`() throws {
        func holds(_ batch: BatchNumber, _ digest: String) -> (inout Facts) -> Void {
            { $0.sight!.parts[0] = SinkSight.Part(batch: batch, digest: digest, witness: .found) }
        }
        let ahead = try #require(refusal(holds(6, "d6")))
        #expect(ahead.code == .ledgerConflict && ahead.why.contains("batch 6") && ahead.why.contains("catalog was put back"))
        #expect(
            refusal {
                holds(6, "d6")(&$0); $0.open = 5
            }?.why.contains("planned batch 5") == true)
        #expect(refusal(holds(4, "x"))?.why.contains("another digest") == true)
        #expect(refusal(holds(2, "x"))?.why.contains("does not know that one") == true)
        #expect(refusal(holds(3, "d3"))?.why.contains("does not know that one") == true)
        #expect(
            refusal {
                holds(3, "d3")(&$0); $0.seals = []
            }?.why.contains("no rows of that batch") == true)
    }

    @Test func `adopting takes the sink as it is`() {
        #expect(
            SinkVerdict.decide(
                Self.facts {
                    $0.adopt = true; $0.sight!.parts = [:]
                }) == .goOn)
        #expect(
            SinkVerdict.decide(
                Self.facts {
                    $0.adopt = true; $0.sight = SinkSight(owner: .nobody, table: nil)
                }) == .begin)
        #expect(
            SinkVerdict.decide(
                Self.facts {
                    $0.adopt = true; $0.place = "elsewhere"
                }) == .begin)
    }

    @Test func `a sink that was copied elsewhere with its ledger is taken at its new place`() {
        #expect(
            SinkVerdict.decide(
                Self.facts {
                    $0.place = "postgres://new/db views"; $0.sight!.isSameTable = false
                }) == .begin)
        let behind = refusal {
            $0.place = "postgres://new/db views"
            $0.sight!.parts[0] = SinkSight.Part(batch: 6, digest: "d6", witness: .found)
        }
        #expect(behind?.why.contains("sqlite:sink.db") == true)
    }

    // MARK: small worlds

    /// Two parts and up to three batches. What a part has sealed is a set of batches; a sink is what was sealed by a moment.
    struct World {
        var last: Int
        /// Batches with rows, by part.
        var sealed: [[Int]]
        /// Parts that have sealed the open batch `last + 1`; nil: none is open.
        var open: [Bool]?
        /// The sink is a copy of after this batch.
        var copy: Int
        var damage: Damage
        var canRunFrom: Int?
        var replacesRows: Bool
    }

    enum Damage: CaseIterable { case none, tableDropped, tableAnew, emptied, ledgerGone, ledgerOfPartGone, otherDigest, ahead }

    @Test func `no small world with missing rows is gone on with, and what runs again brings all of them back`() {
        var seen: [String: Int] = [:]
        forEachWorld { world in
            // What really is in the sink, by part.
            var rows = world.sealed.map { Set($0.filter { $0 <= world.copy }) }
            var ledger: [Int: SinkSight.Part] = [:]
            for part in 0..<2 {
                if let batch = rows[part].max() { ledger[part] = SinkSight.Part(batch: Int64(batch), digest: "d\(batch)", witness: .found) }
                if world.copy == world.last, world.open?[part] == true {
                    rows[part].insert(world.last + 1)
                    ledger[part] = SinkSight.Part(batch: Int64(world.last + 1), digest: "open", witness: .found)
                }
            }
            var sight = SinkSight(owner: .job(Self.id, 1), table: "m", isSameTable: true, parts: ledger)
            switch world.damage {
            case .none: break
            case .tableDropped, .tableAnew, .emptied:
                rows = [[], []]
                for part in ledger.keys { sight.parts[part]!.witness = .gone }
                if world.damage == .tableDropped { sight.table = nil }
                if world.damage == .tableAnew { sight.isSameTable = false }
            case .ledgerGone: sight.parts = [:]
            case .ledgerOfPartGone: sight.parts[1] = nil
            case .otherDigest: sight.parts[0]?.digest = "x"
            case .ahead: sight.parts[0] = SinkSight.Part(batch: 9, digest: "d9", witness: .found)
            }
            let wanted = world.sealed.map(Set.init)
            let history = (0..<2).flatMap { part in
                world.sealed[part].map { SealMark(part: part, batch: Int64($0), digest: "d\($0)") }
            }
            let seals = (0..<2).compactMap { part in history.last { $0.part == part } }
            let facts = Facts(
                job: "j", place: "p", begun: Catalog.BegunTable(place: "p", identity: "m"), sight: sight, seals: seals,
                history: history, open: world.open == nil ? nil : Int64(world.last + 1), last: Int64(world.last),
                canRunFrom: world.canRunFrom.map(Int64.init), replacesRows: world.replacesRows)
            func has(_ rows: [Set<Int>]) -> Bool { zip(rows, wanted).allSatisfy { $0.isSuperset(of: $1) } }
            switch SinkVerdict.decide(facts) {
            case .begin: Issue.record("begun anew: \(world)")
            case .goOn:
                #expect(has(rows), "\(world)")
                seen["goOn", default: 0] += 1
            case .runAgain(let batches):
                for batch in batches {
                    for part in 0..<2 where SinkVerdict.lacks(batch, part: part, in: sight) && world.sealed[part].contains(Int(batch)) {
                        #expect(world.replacesRows || !rows[part].contains(Int(batch)), "doubled: \(world)")
                        rows[part].insert(Int(batch))
                    }
                }
                #expect(has(rows), "\(world)")
                #expect(world.canRunFrom.map { $0 <= Int(batches.lowerBound) } == true, "\(world)")
                seen["runAgain", default: 0] += 1
            case .writeAnew: Issue.record("nothing here keeps the newest row: \(world)")
            case .refuse:
                // An undamaged sink of this very moment is never refused.
                let isWhole = world.damage == .none && world.copy == world.last
                #expect(!isWhole, "\(world)")
                // Nor is an older copy of which everything can run again.
                let isOlder = world.damage == .none && world.canRunFrom == 1 && world.replacesRows
                #expect(!isOlder, "\(world)")
                seen["refuse", default: 0] += 1
            }
        }
        #expect(seen["goOn", default: 0] > 100 && seen["runAgain", default: 0] > 100 && seen["refuse", default: 0] > 100, "\(seen)")
    }

    private func forEachWorld(_ body: (World) -> Void) {
        for last in 0...3 {
            for first in subsets(last) {
                for second in subsets(last) {
                    for open in [nil, [false, false], [true, false], [true, true]] as [[Bool]?] {
                        for copy in 0...last {
                            for damage in Damage.allCases {
                                for canRunFrom in [nil, 1, 2, 3] as [Int?] {
                                    for replaces in [true, false] {
                                        body(
                                            World(
                                                last: last, sealed: [first, second], open: open, copy: copy, damage: damage,
                                                canRunFrom: canRunFrom, replacesRows: replaces))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    private func subsets(_ last: Int) -> [[Int]] {
        (0..<1 << last).map { bits in (0..<last).filter { bits >> $0 & 1 == 1 }.map { $0 + 1 } }
    }
}
