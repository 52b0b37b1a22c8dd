import Foundation
import Simulation
import TestSupport
import Testing

struct SimulationTests {
    /// In a process of its own, as `scripts/simulate` runs it: hash order differs from process to process, and a replay must not.
    @Test func `every rule holds in 2,000 seeds of the made world`() throws {
        let program = URL(filePath: SluiceProcess.binary).deletingLastPathComponent().appending(path: "simulate").path
        let run = try runTool(program, ["--seeds", "2000"], environment: ["SWIFT_DETERMINISTIC_HASHING": "1"])
        #expect(run.status == 0 && run.output.contains(" 0 failed"), "\(run.output)")
    }

    @Test(arguments: Mutant.allCases) func `a rule that is left out is found`(mutant: Mutant) throws {
        #expect(try Simulation.firstBroken(seeds: 6000, mutant: mutant) != nil)
    }
}
