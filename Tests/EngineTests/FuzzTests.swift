// The short version of `scripts/fuzz`: the same inputs on every machine, a hundred thousand of each format.

import Fuzzing
import Testing

struct FuzzTests {
    @Test(arguments: FuzzFormat.allCases)
    func `a hundred thousand mutated inputs neither crash nor break the contract`(format: FuzzFormat) throws {
        let report = try FuzzRun(format: format, executions: 100_000, seed: 20_261_121).run()
        if let defect = report.defect { Issue.record("\(defect.what): \(defect.input)") }
        #expect(report.executions == 100_000)
        #expect(report.accepted > 1_000 && report.accepted < 99_000)
    }
}
