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
        SealTasks(job: job, batch: 7, epoch: 2, parts: [SealTasks.Part(part: 1, attempt: 3, digest: "x")])
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

    @Test(arguments: [
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
}
