// A run of the fuzzer without a compiler's help: mutate, run, keep what was accepted as material for the next.
//
// Memory is looked at after the first twentieth of the executions (by then every buffer has its size) and at the end:
// a leak of a few bytes an execution shows as megabytes. A crash ends the process; the number of the execution is then
// not known, so a long run writes each input beside it first when asked to (`--keep`).

import Foundation

package struct FuzzReport: Sendable {
    package var executions = 0
    package var accepted = 0
    package var defect: (input: [UInt8], what: String)?
    package var startResidentBytes = 0
    package var endResidentBytes = 0
}

package struct FuzzRun {
    /// Accepted inputs that are kept to go on from.
    private static let corpusSize = 256

    package var format: FuzzFormat
    package var executions: Int
    package var seed: UInt64
    /// A file that holds the input being run, for a finding that ends the process.
    package var keep: String?

    package init(format: FuzzFormat, executions: Int, seed: UInt64, keep: String? = nil) {
        self.format = format
        self.executions = executions
        self.seed = seed
        self.keep = keep
    }

    package func run() throws -> FuzzReport {
        let subject = try format.makeSubject()
        var mutator = InputMutator(seed: seed, tokens: subject.tokens)
        defer { mutator.deallocate() }
        var corpus = subject.seeds
        var report = FuzzReport()
        for seed in corpus {
            let outcome = seed.withUnsafeBufferPointer { subject.run($0) }
            if outcome != .accepted {
                report.defect = (seed, "a seed is \(outcome)")
                return report
            }
        }
        while report.executions < executions {
            if report.executions == executions / 20 { report.startResidentBytes = residentBytes() }
            let input = mutator.input(from: corpus)
            if let keep { write(input, to: keep) }
            switch subject.run(input) {
            case .refused: break
            case .accepted:
                report.accepted += 1
                if corpus.count < Self.corpusSize {
                    corpus.append(Array(input))
                } else if report.accepted & 15 == 0 {
                    // The seeds stay.
                    let first = subject.seeds.count
                    corpus[first + mutator.below(corpus.count - first)] = Array(input)
                }
            case .defect(let what):
                report.defect = (Array(input), what)
                report.executions += 1
                return report
            }
            report.executions += 1
        }
        report.endResidentBytes = residentBytes()
        return report
    }

    private func write(_ input: UnsafeBufferPointer<UInt8>, to path: String) {
        guard let file = fopen(path, "w") else { preconditionFailure("\(path) cannot be written") }
        precondition(fwrite(input.baseAddress, 1, input.count, file) == input.count)
        fclose(file)
    }
}

/// Memory of this process that is in use now.
package func residentBytes() -> Int {
    guard let text = FileManager.default.contents(atPath: "/proc/self/statm") else { return 0 }
    let words = String(decoding: text, as: UTF8.self).split(separator: " ")
    return words.count > 1 ? (Int(words[1]) ?? 0) * Int(getpagesize()) : 0
}
