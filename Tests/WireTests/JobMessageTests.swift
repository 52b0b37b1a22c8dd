import Engine
import Foundation
import Testing
import Wire

@Suite struct JobMessageTests {
    private func spec(_ name: String, _ settings: [String: String] = ["topic": "t"]) -> JobSpec {
        JobSpec(
            name: name, jobID: JobID(text: name), definition: "d", settings: settings, planDigest: "p", buildDigest: "b",
            schemaText: "a\nb", lane: "live")
    }

    private func message(_ job: JobSpec) -> SealTasks {
        SealTasks(job: job, batch: 7, epoch: 2, parts: [SealTasks.Part(part: 1, attempt: 3, digest: "x", predecessor: .seal(batch: 6, digest: "w"))])
    }

    @Test func `a message and its job come back from two lines`() throws {
        for job in [spec("one"), spec("two"), spec("one", ["topic": "other"]), spec("one")] {
            let body = try JobLine.body(message(job))
            #expect(body.count { $0 == UInt8(ascii: "\n") } == 1)
            let seen = try JobLine.message(SealTasks.self, in: body)
            #expect(seen.job == job)
            #expect(seen.batch == 7 && seen.epoch == 2 && seen.parts.map(\.digest) == ["x"])
        }
    }

    @Test(arguments: ["", "{}", "{}\n{}", "\n", "x\ny"])
    func `a body that is no message of a job is refused`(_ text: String) {
        #expect(throws: Failure.self) { try JobLine.message(SealTasks.self, in: Array(text.utf8)) }
    }

    @Test(
        arguments: [
            ([], "[]"), ([0], "[0,1]"), ([0, 1, 2], "[0,3]"), ([1, 2, 5, 6, 9], "[1,3,5,7,9,10]"),
        ] as [([Int], String)])
    func `ascending parts travel as runs`(_ parts: [Int], _ json: String) throws {
        var runs = PartRuns()
        for part in parts { runs.append(part) }
        #expect(runs.parts == parts)
        #expect(String(decoding: try JSONEncoder().encode(runs), as: UTF8.self) == json)
        #expect(try JSONDecoder().decode(PartRuns.self, from: Data(json.utf8)) == runs)
    }

    @Test(arguments: ["[1]", "[3,2]", "[0,2,1,3]", "{}"])
    func `runs that are none are refused`(_ json: String) {
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(PartRuns.self, from: Data(json.utf8)) }
    }

    @Test func `a holder that was not named is nobody`() {
        let holders = BlockHolders(urls: ["a"], worker: [0, -1], attempt: [2, 0])
        #expect(holders.location(0) == BlockLocation(sourcePart: 0, attempt: 2, workerURL: "a"))
        #expect(holders.location(1) == nil && holders.location(2) == nil)
    }

    @Test func `a report arrives whole, and nothing is not sent`() throws {
        var full = TaskReport()
        (full.records, full.bytes, full.rowsIn, full.late, full.unmatched, full.rejected) = (1, 2, 3, 4, 5, 6)
        full.rejectedRanges = [OffsetRange(topic: "t", partition: 1, from: 2, until: 3)]
        full.lateRanges = [OffsetRange(topic: "t", partition: 4, from: 5, until: 6)]
        full.quarantine = [QuarantinedRecord(topic: "t", partition: 1, offset: 2, reason: .invalidText, raw: [1, 2])]
        (full.maxEventTimeMillis, full.tailOffset, full.tailHash) = (7, 8, "9")
        (full.destinations, full.blockBytes, full.sinkPart, full.rowsOut, full.digest) = ([1, 2], 10, 11, 12, "13")
        full.state = StateFile(kind: .delta, version: 1, name: "n", inline: true, bytes: 2, rows: 3, digest: "d")
        (full.inlineState, full.stateRows, full.stateBytes, full.millis) = (Data([1]), 14, 15, 16.5)
        full.rows = [Data([1, 2, 3])]
        (full.leaderEpoch, full.tombstones, full.failed) = (17, 18, 19)
        (full.rejectedUnlisted, full.lateUnlisted, full.schemaIDs) = (19, 20, [21])
        full.offsetFiles = [OffsetFile(content: .rejected, topic: "t", partition: 1, name: "n", offsets: 2, ranges: 3, digest: "d")]
        full.rejectExample = RejectExample(partition: 1, offset: 2, reason: .invalidText, timeMillis: 3, head: [4])
        func fields(_ report: TaskReport) -> [String] { Mirror(reflecting: report).children.map { "\($0.label!) \($0.value)" } }
        for (one, other) in zip(fields(full), fields(TaskReport())) { #expect(one != other, "set every field here") }

        let read = try JSONDecoder().decode(TaskReport.self, from: JSONEncoder().encode(full))
        #expect(fields(read) == fields(full))
        #expect(read.inlineState == full.inlineState && read.rows == full.rows)
        let nothing = try JSONEncoder().encode(TaskReport())
        #expect(String(decoding: nothing, as: UTF8.self) == "{}")
        #expect(fields(try JSONDecoder().decode(TaskReport.self, from: nothing)) == fields(TaskReport()))
    }
}
