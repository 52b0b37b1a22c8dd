// simulate: runs seeds of the made world and says which of them broke a rule.

import Engine
import Foundation
import Simulation

var seeds = 2000
var first: UInt64 = 1
var single: UInt64?
var mutant: Mutant?
var arguments = CommandLine.arguments.dropFirst()
func usage() -> Never {
    print("usage: scripts/simulate [--seeds N] [--first S] [--seed S] [--mutant NAME|all]")
    exit(2)
}
var wantsAllMutants = false
while let argument = arguments.popFirst() {
    guard let value = arguments.popFirst() else { usage() }
    switch argument {
    case "--seeds": seeds = Int(value) ?? seeds
    case "--first": first = UInt64(value) ?? first
    case "--seed": single = UInt64(value)
    case "--mutant":
        wantsAllMutants = value == "all"
        mutant = Mutant(rawValue: value)
        if mutant == nil && !wantsAllMutants { usage() }
    default: usage()
    }
}
exit(
    try Simulation.run(
        seeds: seeds, first: first, single: single, mutants: wantsAllMutants ? Mutant.allCases : mutant.map { [$0] } ?? []))
