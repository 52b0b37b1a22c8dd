// Many worlds, one after the other: what `scripts/simulate` and the tests run.

import Driver
import Engine

package enum Simulation {
    /// Runs seeds and prints what came of them. With mutants each must be found within the seeds.
    /// - Returns: the exit status.
    package static func run(seeds: Int, first: UInt64, single: UInt64?, mutants: [Mutant]) throws -> Int32 {
        if let single {
            let world = try World(seed: single, mutant: mutants.first, traced: true)
            let violation = world.run()
            print(violation.map { "seed \(single): \($0)" } ?? "seed \(single): every rule held, \(world.eventCount) events")
            return violation == nil ? 0 : 1
        }
        if mutants.isEmpty { return try sound(seeds: seeds, first: first) }
        var status: Int32 = 0
        for mutant in mutants {
            if let (seed, violation) = try firstBroken(seeds: seeds, first: first, mutant: mutant) {
                print("mutant \(mutant.rawValue): found by seed \(seed): \(violation)")
            } else {
                print("mutant \(mutant.rawValue): NOT found in \(seeds) seeds")
                status = 1
            }
        }
        return status
    }

    private static func sound(seeds: Int, first: UInt64) throws -> Int32 {
        let begun = ContinuousClock.now
        var (events, refused, batches, failed) = (0, 0, 0, 0)
        for seed in first..<first + UInt64(seeds) {
            let world = try World(seed: seed)
            if let violation = world.run() {
                failed += 1
                print("seed \(seed): \(violation)\n  again: scripts/simulate --seed \(seed)")
                if failed == 10 { break }
            }
            events += world.eventCount
            batches += world.catalog.done.count
            if world.isRefused { refused += 1 }
        }
        let seconds = (ContinuousClock.now - begun) / .seconds(1)
        print(
            "\(seeds) seeds, \(events) events, \(batches) batches in \(String(Int(seconds * 10))) tenths of a second; "
                + "\(refused) refused by name, \(failed) failed")
        return failed == 0 ? 0 : 1
    }

    /// The first seed that breaks a rule.
    package static func firstBroken(seeds: Int, first: UInt64 = 1, mutant: Mutant?) throws -> (seed: UInt64, violation: String)? {
        for seed in first..<first + UInt64(seeds) {
            if let violation = try World(seed: seed, mutant: mutant).run() { return (seed, violation) }
        }
        return nil
    }
}
