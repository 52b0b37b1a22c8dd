// What every sink with a ledger promises, asked of each kind in the same words.

import Engine
import Foundation
import TestSupport
import Testing

@Suite struct SinkContractTests {
    let noon: Int64 = 1_772_366_400_000

    // MARK: sealing

    @Test(arguments: SinkKind.allCases, [SinkTable.views, .purchases, .bare])
    func `sealing a part twice changes nothing`(kind: SinkKind, table: SinkTable) throws {
        let place = try SinkPlace(kind)
        let sink = try place.claimed(table, table.identity())
        let chunk = table == .bare ? rows(table, [[.int64(1), .text("x"), .int64(1)]]) : sample(table)
        #expect(try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [chunk]) == .written)
        let before = try place.contents(of: table)
        #expect(before[0].count == chunk.rowCount)
        #expect(try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [chunk]) == .alreadySealed)
        #expect(try place.open(table).seal(table.identity(), part: 0, batch: 1, digest: "d", rows: [chunk]) == .alreadySealed)
        #expect(try place.contents(of: table) == before)
    }

    @Test(arguments: SinkKind.allCases)
    func `the same batch with another digest, and an older batch, are conflicts that write nothing`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.bare
        let sink = try place.claimed(table, table.identity())
        let chunk = rows(table, [[.int64(1), .null, .int64(1)]])
        #expect(try sink.seal(table.identity(), part: 0, batch: 5, digest: "d", rows: [chunk]) == .written)
        let before = try place.contents(of: table)
        for (batch, digest) in [(5, "other"), (4, "d"), (4, "other")] {
            let seen = failure { try sink.seal(table.identity(), part: 0, batch: Int64(batch), digest: digest, rows: [chunk]) }
            #expect(seen?.code == .ledgerConflict)
        }
        #expect(try place.contents(of: table) == before)
    }

    @Test(arguments: SinkKind.allCases)
    func `parts and batches are independent, and the ledger does not grow`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.bare
        let sink = try place.claimed(table, table.identity())
        #expect(try sink.sealedBatches(table.identity()) == [:])
        for batch: Int64 in 1...3 {
            for part in 0..<(batch == 3 ? 1 : 2) {
                let chunk = rows(table, [[.int64(batch), .text("p\(part)"), .int64(0)]])
                #expect(try sink.seal(table.identity(), part: part, batch: batch, digest: "\(batch)", rows: [chunk]) == .written)
            }
        }
        #expect(try sink.sealedBatches(table.identity()) == [0: 3, 1: 2])
        #expect(try place.ask("SELECT count(*) FROM sluice_ledger") == [[.int(2)]])
        #expect(try place.ask("SELECT count(*) FROM bare") == [[.int(5)]])
        // Another sink of the same job has its own parts.
        #expect(try place.claimed(.views, SinkTable.views.identity()).sealedBatches(SinkTable.views.identity()) == [:])
    }

    @Test(arguments: SinkKind.allCases)
    func `a part without rows is sealed all the same`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.views
        let sink = try place.claimed(table, table.identity())
        #expect(try sink.seal(table.identity(), part: 0, batch: 1, digest: "", rows: []) == .written)
        #expect(try sink.seal(table.identity(), part: 1, batch: 1, digest: "", rows: [rows(table, [])]) == .written)
        #expect(try sink.sealedBatches(table.identity()) == [0: 1, 1: 1])
    }

    @Test(arguments: SinkKind.allCases)
    func `a ledger that was put back, emptied or moved ahead takes no further batch`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.bare
        let sink = try place.claimed(table, table.identity())
        func seal(_ batch: BatchNumber, after: Predecessor) throws -> Sealed {
            let chunk = rows(table, [[.int64(batch), .null, .int64(1)]])
            return try sink.seal(table.identity(), part: 0, batch: batch, digest: "d\(batch)", after: after, rows: [chunk])
        }
        #expect(try seal(1, after: .nothing) == .written)
        #expect(try seal(1, after: .nothing) == .alreadySealed)
        #expect(try seal(4, after: .seal(batch: 1, digest: "d1")) == .written)
        #expect(try seal(4, after: .seal(batch: 1, digest: "d1")) == .alreadySealed)
        let before = try place.contents(of: table)
        let wrong: [(Predecessor, String)] = [
            (.seal(batch: 3, digest: "d3"), "--adopt"), (.seal(batch: 5, digest: "d5"), "sluice repair job"),
            (.seal(batch: 4, digest: "x"), "sluice repair job"), (.nothing, "--adopt"),
        ]
        for (after, remedy) in wrong {
            let seen = try #require(failure { try seal(6, after: after) })
            #expect(seen.code == .ledgerConflict && seen.now.contains(remedy), "\(after): \(seen)")
            #expect(seen.why.contains("batch 4 (digest d4)"), "\(seen)")
        }
        #expect(try place.contents(of: table) == before)
        try place.run("DELETE FROM sluice_ledger")
        let emptied = try #require(failure { try seal(5, after: .seal(batch: 4, digest: "d4")) })
        #expect(emptied.code == .ledgerConflict && emptied.why.contains("nothing of this part") && emptied.why.contains("batch 4 (digest d4)"))
        #expect(try place.ask("SELECT count(*) FROM bare") == [[.int(2)]])
    }

    @Test(arguments: [Predecessor.unknown, .nothing, .seal(batch: 7, digest: "d 1"), .seal(batch: 7, digest: "")])
    func `a predecessor is read as it was written`(predecessor: Predecessor) throws {
        #expect(try JSONDecoder().decode(Predecessor.self, from: JSONEncoder().encode(predecessor)) == predecessor)
    }

    @Test func `a plan says what each part follows, and a plan of an earlier build does not`() throws {
        var plan = BatchPlan(
            job: "job", jobID: JobID(text: "a"), batch: 9, epoch: 1, batchTimeMillis: 0, seed: 0, ranges: [],
            watermarkBeforeMillis: nil, taskCounts: [1], keyGroups: 1, buildDigest: "", settingsDigest: "", planDigest: "",
            schemaDigest: "", lookups: [:], topicIDs: [:], stateBefore: nil)
        #expect(Predecessor(of: 0, in: plan) == .unknown)
        plan.predecessors = [SealMark(part: 1, batch: 7, digest: "d")]
        #expect(Predecessor(of: 0, in: plan) == .nothing)
        #expect(Predecessor(of: 1, in: plan) == .seal(batch: 7, digest: "d"))
        #expect(Predecessor(of: 1, sink: 1, in: plan) == .nothing)
    }

    // MARK: owners and epochs

    @Test(arguments: SinkKind.allCases)
    func `looking at the owner makes nothing`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let sink = try place.open(.views)
        #expect(try sink.owner(job: "job") == .nobody)
        #expect(try sink.sealedBatches(SinkTable.views.identity()) == [:])
        if kind == .sqlite {
            #expect(!FileManager.default.fileExists(atPath: String(place.address.dropFirst(7))))
        } else {
            #expect(try place.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [[.int(0)]])
        }
        try sink.claim(SinkTable.views.identity(epoch: 7), adopt: false)
        #expect(try sink.owner(job: "job") == .job(JobID(text: String(repeating: "a", count: 32)), 7))
        #expect(try sink.owner(job: "another") == .nobody)
    }

    @Test(arguments: SinkKind.allCases)
    func `after a takeover the older driver's tasks write nothing`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.bare
        let zombie = try place.claimed(table, table.identity(epoch: 1))
        let chunk = rows(table, [[.int64(1), .null, .int64(1)]])
        _ = try zombie.seal(table.identity(epoch: 1), part: 0, batch: 1, digest: "d", rows: [chunk])
        let heir = try place.claimed(table, table.identity(epoch: 2))
        let before = try place.contents(of: table)
        for (batch, digest) in [(1, "d"), (1, "x"), (2, "d")] as [(Int64, String)] {
            let seen = failureCode { try zombie.seal(table.identity(epoch: 1), part: 0, batch: batch, digest: digest, rows: [chunk]) }
            #expect(seen == .staleEpoch)
        }
        #expect(failureCode { try zombie.claim(table.identity(epoch: 1), adopt: false) } == .staleEpoch)
        #expect(failureCode { try zombie.claim(table.identity(epoch: 1), adopt: true) } == .staleEpoch)
        #expect(try place.contents(of: table) == before)
        #expect(try heir.seal(table.identity(epoch: 2), part: 0, batch: 1, digest: "d", rows: [chunk]) == .alreadySealed)
        #expect(try heir.seal(table.identity(epoch: 2), part: 0, batch: 2, digest: "e", rows: [chunk]) == .written)
        // A sink put back to an older copy does not know the epoch yet.
        #expect(failureCode { try heir.seal(table.identity(epoch: 3), part: 0, batch: 3, digest: "e", rows: [chunk]) } == .staleEpoch)
    }

    @Test(arguments: SinkKind.allCases)
    func `another id is refused and shown, until it adopts the sink; then the first one is refused`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.bare
        let first = try place.claimed(table, table.identity("a", epoch: 9))
        let chunk = rows(table, [[.int64(1), .null, .int64(1)]])
        _ = try first.seal(table.identity("a", epoch: 9), part: 0, batch: 50, digest: "d", rows: [chunk])
        let second = try place.open(table)
        let before = try place.contents(of: table)
        let refused = try #require(failure { try second.claim(table.identity("b"), adopt: false) })
        #expect(refused.code == .sinkOwnedByOther)
        #expect(refused.why.contains(String(repeating: "a", count: 32)) && refused.now.contains("--adopt"))
        #expect(failureCode { try second.seal(table.identity("b"), part: 0, batch: 51, digest: "d", rows: [chunk]) } == .sinkOwnedByOther)
        #expect(try place.contents(of: table) == before)

        try second.claim(table.identity("b"), adopt: true)
        // The new id counts its own batches: the old one's ledger is no answer for it.
        #expect(try second.sealedBatches(table.identity("b")) == [:])
        #expect(try second.seal(table.identity("b"), part: 0, batch: 1, digest: "d", rows: [chunk]) == .written)
        #expect(failureCode { try first.seal(table.identity("a", epoch: 9), part: 0, batch: 51, digest: "d", rows: [chunk]) } == .sinkOwnedByOther)
        #expect(try place.ask("SELECT count(*) FROM bare") == [[.int(2)]])
    }

    @Test(arguments: SinkKind.allCases)
    func `a job that the sink does not know may not seal`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.bare
        let sink = try place.claimed(table, table.identity())
        try place.run("DELETE FROM sluice_jobs")
        #expect(failureCode { try sink.seal(table.identity(), part: 0, batch: 1, digest: "d", rows: []) } == .sinkOwnedByOther)
        #expect(try place.ask("SELECT count(*) FROM sluice_ledger") == [[.int(0)]])
    }

    @Test(arguments: SinkKind.allCases)
    func `claims that meet all succeed, and the highest epoch stands`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let address = place.address
        let gate = Gate(6)
        let failures = failuresOfThreads(6) { index in
            let sink = try openSink(address: address, table: .views)
            gate.wait()
            try sink.claim(SinkTable.views.identity(epoch: Epoch(index + 1)), adopt: false)
        }
        #expect(failures.allSatisfy { ($0 as? Failure)?.code == .staleEpoch })
        #expect(try place.ask("SELECT epoch FROM sluice_jobs") == [[.int(6)]])
    }

    @Test(arguments: SinkKind.allCases)
    func `many attempts at the same parts at once leave each part's rows once`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.bare
        _ = try place.claimed(table, table.identity())
        let address = place.address
        let failures = failuresOfThreads(8) { index in
            let sink = try openSink(address: address, table: table)
            for batch: Int64 in 1...10 {
                let chunk = rows(table, (0..<20).map { [.int64(batch), .text("p\(index % 4)"), .int64(Int64($0))] })
                _ = try sink.seal(table.identity(), part: index % 4, batch: batch, digest: "\(batch)", rows: [chunk])
            }
        }
        // The slower of two attempts meets batch N + 1 already there, which is a refusal too.
        #expect(failures.allSatisfy { ($0 as? Failure)?.code == .ledgerConflict })
        #expect(try place.ask("SELECT count(*) FROM bare") == [[.int(800)]])
        #expect(try place.ask("SELECT count(*) FROM (SELECT DISTINCT a, b, c FROM bare) AS d") == [[.int(800)]])
    }

    // MARK: rows

    @Test(arguments: SinkKind.allCases)
    func `a keyed sink keeps one row a key: the last`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.views
        let sink = try place.claimed(table, table.identity())
        func row(_ id: String, _ views: Int64?) -> [Value] {
            [.text(id), .timestamp(noon), views.map { .int64($0) } ?? .null]
        }
        let first = rows(table, [row("a", 1), row("b", 1), row("a", 2)])
        let second = rows(table, [row("a", 3), row("c", nil)])
        _ = try sink.seal(table.identity(), part: 0, batch: 1, digest: "1", rows: [first, second])
        let start = SQLValue.text("2026-03-01T12:00:00.000Z")
        #expect(
            try place.contents(of: table)[0] == [
                [.text("a"), start, .int(3)], [.text("b"), start, .int(1)], [.text("c"), start, .null],
            ])
        _ = try sink.seal(table.identity(), part: 0, batch: 2, digest: "2", rows: [rows(table, [row("b", 9), row("c", 1)])])
        #expect(try place.contents(of: table)[0].map { $0[2] } == [.int(3), .int(9), .int(1)])
    }

    @Test(arguments: SinkKind.allCases)
    func `source coordinates that come again after a jump backwards leave the same rows`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.purchases
        let sink = try place.claimed(table, table.identity())
        _ = try sink.seal(table.identity(), part: 0, batch: 1, digest: "1", rows: [sample(table)])
        let before = try place.contents(of: table)[0]
        _ = try sink.seal(table.identity(), part: 0, batch: 2, digest: "2", rows: [sample(table)])
        #expect(try place.contents(of: table)[0] == before)
    }

    @Test(arguments: SinkKind.allCases)
    func `every type comes back as it went in, NULLs too`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.types
        let sink = try place.claimed(table, table.identity())
        let times: [Int64] = [0, -1, noon + 7, 253_402_300_799_999, -62_135_596_800_000]
        var all: [[Value]] = times.enumerated().map {
            [.int64(Int64($0)), .int64(.max), .float64(0.1), .bool(true), .timestamp($1), .text("☃ \($0)")]
        }
        all.append([.int64(100), .int64(.min), .float64(-1e300), .bool(false), .timestamp(1), .text("")])
        all.append([.int64(101), .null, .null, .null, .null, .null])
        all.append([.int64(102), .int64(0), .float64(.infinity), .null, .null, .text(String(repeating: "long ", count: 100_000))])
        let chunk = rows(table, all)
        _ = try sink.seal(table.identity(), part: 0, batch: 1, digest: "1", rows: [chunk])
        let found = try sink.existing(keysOf: chunk)
        #expect(found.count == all.count)
        for (stored, expected) in zip(found, all) { #expect(stored == expected) }
        let shown = try place.ask("SELECT t FROM types WHERE k IN (1, 2) ORDER BY k")
        #expect(shown == [[.text("1969-12-31T23:59:59.999Z")], [.text("2026-03-01T12:00:00.007Z")]])
    }

    @Test(arguments: SinkKind.allCases)
    func `existing rows are found by key in the order asked, and missing ones are nil`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.views
        let sink = try place.claimed(table, table.identity())
        func row(_ id: String, _ views: Value) -> [Value] { [.text(id), .timestamp(noon), views] }
        let stored = rows(table, [row("a", .int64(1)), row("b", .null)])
        _ = try sink.seal(table.identity(), part: 0, batch: 1, digest: "1", rows: [stored])
        let asked = rows(table, [row("z", .null), row("b", .null), row("a", .int64(99)), row("b", .null)])
        let expected: [[Value]?] = [nil, row("b", .null), row("a", .int64(1)), row("b", .null)]
        #expect(try sink.existing(keysOf: asked) == expected)
        #expect(try sink.existing(keysOf: rows(table, [])) == [])
        var narrowed = asked
        let selection = Selection(capacity: 2)
        (selection.rows[0], selection.rows[1]) = (1, 2)
        selection.commit(2)
        narrowed.selection = selection
        #expect(try sink.existing(keysOf: narrowed) == [row("b", .null), row("a", .int64(1))])
    }

    @Test(arguments: SinkKind.allCases)
    func `only selected rows are written`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.bare
        let sink = try place.claimed(table, table.identity())
        var chunk = rows(table, (0..<5).map { [.int64(Int64($0)), .text("\($0)"), .int64(0)] })
        let selection = Selection(capacity: 2)
        (selection.rows[0], selection.rows[1]) = (1, 4)
        selection.commit(2)
        chunk.selection = selection
        _ = try sink.seal(table.identity(), part: 0, batch: 1, digest: "1", rows: [chunk])
        #expect(try place.ask("SELECT a, b FROM bare ORDER BY a") == [[.int(1), .text("1")], [.int(4), .text("4")]])
    }

    @Test(arguments: SinkKind.allCases)
    func `hostile text is stored as it is, in rows, keys, and the job's name`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = SinkTable.views
        let job = "x'); DROP TABLE campaign_views; --"
        let sink = try place.claimed(table, table.identity(job: job))
        let chunk = rows(table, hostileTexts.map { [.text($0), .timestamp(noon), .int64(1)] })
        _ = try sink.seal(table.identity(job: job), part: 0, batch: 1, digest: "'; --", rows: [chunk])
        let found = try sink.existing(keysOf: chunk)
        #expect(found.map { $0?[0] } == hostileTexts.map { .text($0) })
        #expect(try place.ask("SELECT job FROM sluice_jobs") == [[.text(job)]])
        #expect(try sink.owner(job: job) == .job(table.identity().jobID, 1))
    }

    @Test(arguments: SinkKind.allCases, [SinkTable.views, .bare])
    func `ten thousand rows in many chunks all arrive`(kind: SinkKind, table: SinkTable) throws {
        let place = try SinkPlace(kind)
        let sink = try place.claimed(table, table.identity())
        let chunks = (0..<10).map { part in
            rows(
                table,
                (0..<1000).map { index in
                    let number = Int64(part * 1000 + index)
                    return table == .bare
                        ? [.int64(number), .text(String(repeating: "x", count: 100)), .int64(1)]
                        : [.text("campaign-\(number)"), .timestamp(noon), .int64(number)]
                })
        }
        _ = try sink.seal(table.identity(), part: 0, batch: 1, digest: "1", rows: chunks)
        let counted = table == .bare ? "sum(a), sum(c)" : "sum(views), count(*)"
        #expect(try place.ask("SELECT \(counted) FROM \(table.name)") == [[.int(49_995_000), .int(10_000)]])
    }

    func sample(_ table: SinkTable) -> Chunk {
        switch table.name {
        case "campaign_views": rows(table, [[.text("a"), .timestamp(noon), .int64(1)], [.text("b"), .timestamp(noon), .null]])
        default: rows(table, (0..<3).map { [.text("t"), .int64($0), .int64(7), .text("u")] })
        }
    }
}

/// What has broken out of statements, formats, and terminals elsewhere.
let hostileTexts = [
    "'", "''", "\"", "\\", "\\'", "';--", "'; DROP TABLE campaign_views; --", "' OR '1'='1", "\") OR 1=1 --", "1; SELECT pg_sleep(9)",
    "$1", "$$", "$body$", "?", ":name", "@name", "%s", "{0}", "\\N", "\\.", "\n\\.\n", "a\tb", "a\r\nb", "NULL", "null", "\u{1b}[2J",
    "\u{202e}evil", "${jndi:ldap://x}", "<script>alert(1)</script>", "' UNION SELECT * FROM sluice_jobs --", "\u{feff}bom", "é vs e\u{301}",
    "\u{ff07}; DROP", "/* */", "-- ", "x\\", "E'\\''", "🧨", "  ", "",
]
