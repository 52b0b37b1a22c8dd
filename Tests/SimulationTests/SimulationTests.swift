import Simulation
import Testing

struct SimulationTests {
    @Test func `every rule holds in some seeds of the made world`() throws {
        let broken = try Simulation.firstBroken(seeds: 300, mutant: nil)
        #expect(broken == nil, "\(broken.map { "seed \($0.seed): \($0.violation)" } ?? "")")
    }

    @Test(arguments: Mutant.allCases) func `a rule that is left out is found`(mutant: Mutant) throws {
        #expect(try Simulation.firstBroken(seeds: 2000, mutant: mutant) != nil)
    }
}
