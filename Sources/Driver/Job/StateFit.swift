// Whether a job may go on with its state under another plan: what is kept must be what the new plan keeps.

import Engine

package enum StateFit {
    package static func check(old: StageGraph, new: StageGraph, job: String) throws {
        guard old.hasExchange || new.hasExchange else { return }
        guard old.accumulatorSchema == new.accumulatorSchema, old.window == new.window else {
            throw Failure(
                .notPossible, "job \(job) cannot be replaced: its state does not fit the new plan",
                why: "kept are \(describe(old)), the new plan keeps \(describe(new))",
                now: "submit it under another --name; it starts with empty state there")
        }
    }

    private static func describe(_ graph: StageGraph) -> String {
        let fields = graph.accumulatorSchema.fields.map { "\($0.name) \($0.type.rawValue)" }.joined(separator: ", ")
        return "(\(fields)) per \(graph.window.map { formatDuration($0.lengthMillis) } ?? "key")"
    }
}
