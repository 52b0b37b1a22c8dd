// The short version of `scripts/fuzz`: the same inputs on every machine, a hundred thousand of each format, fewer of values and texts.

import Fuzzing
import Testing

struct FuzzTests {
    @Test(arguments: FuzzFormat.allCases)
    func `a hundred thousand mutated inputs neither crash nor break the contract`(format: FuzzFormat) throws {
        // A value goes through two jobs, twice, and a text is parsed up to five times, on a thread each: some of them cost what a hundred
        // inputs of a decoder do.
        let executions =
            switch format {
            case .value: 2_000
            case .sql, .bind: 10_000
            default: 100_000
            }
        let report = try FuzzRun(format: format, executions: executions, seed: 20_261_121).run()
        if let defect = report.defect { Issue.record("\(defect.what): \(defect.input)") }
        #expect(report.executions == executions)
        #expect(report.accepted > executions / 100 && report.accepted < executions * 99 / 100)
    }
}
