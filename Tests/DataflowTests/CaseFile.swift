// A case in all runs of the rig, with what it expects along the way.

import Dataflow
import Engine
import TestSupport
import Values

extension CaseFile {
    func run(_ database: PostgresDatabase?) throws {
        let rig = try DataflowRig(tables: tables, queries: queries, settings: settings, database: database)
        for step in steps {
            switch step {
            case .batch(let rows, let watermarks): try rig.run(rows, watermarks: watermarks.mapValues(Self.micros))
            case .expect(let name, let lines):
                if rig.answer(name) != lines { throw RigError.wrong("\(name) is\n\(rig.answer(name).joined(separator: "\n"))\nexpected\n\(lines.joined(separator: "\n"))") }
            case .late(let count): if rig.counts.late != count { throw RigError.wrong("\(rig.counts.late) late, expected \(count)") }
            case .failed(let count): if rig.counts.failed != count { throw RigError.wrong("\(rig.counts.failed) failed, expected \(count)") }
            }
        }
    }

    private static func micros(_ text: String) throws -> Int64 {
        guard case .word(let micros) = try TypeText.read(text, as: .timestamptz, context: EvaluationContext()) else { throw RigError.wrong(text) }
        return micros
    }
}
