// A plan as lines of text, one a node: what it does, what it reads and how, what flows out of it, what bounds its state.
//
//   3 aggregate [0, 1] count -> changes from 2 by hash(0, 1); bounded by the watermark

import SQLBinding
import Values

extension Plan {
    /// The nodes in their order, then the outputs; each line ends with a line break.
    package var text: String {
        var lines = nodes.enumerated().map { number, node in
            let inputs = node.inputs.map { "\($0.node)\($0.exchange.text)" }.joined(separator: ", ")
            let watermarks = node.columns.indices.filter { node.columns[$0].watermark != nil }
            return "\(number) \(text(of: node.operation)) -> \(node.kind.rawValue)\(inputs.isEmpty ? "" : " from \(inputs)")"
                + (watermarks.isEmpty ? "" : "; watermark of \(watermarks.list)") + (node.bound == .none ? "" : "; \(node.bound)")
        }
        for output in outputs {
            let name: String =
                switch output.target {
                case .table(let table, _): "table \(table)"
                case .view(let view): view.isEmpty ? "the answer" : "view \(view)"
                }
            lines.append("\(name) is \(output.node)")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private func text(of operation: PlanOperation) -> String {
        switch operation {
        case .read(let table, let columns):
            let readable = sources[table].table.readable
            return "read \(sources[table].table.name) (\(columns.map { readable[$0].name }.joined(separator: ", ")))"
        case .values(let rows, _): return "values, \(rows.count) rows"
        case .map(let steps): return "map \(steps.map(\.text).joined(separator: ", "))"
        case .latest(let key): return "latest of [\(key.list)]"
        case .aggregate(let plan, _):
            let calls = plan.calls.map { "\($0.function.rawValue)(\($0.isDistinct ? "distinct " : "")\($0.argument.map { "#\($0)" } ?? "*"))" }
            return "aggregate \(plan.keyCount) keys\(calls.isEmpty ? "" : " " + calls.joined(separator: ", "))\(plan.emission == .final ? ", final" : "")"
        case .join(let plan):
            let keys = zip(plan.left.keys, plan.right.keys).map { "#\($0) = #\($1)" }.joined(separator: " and ")
            return "\(plan.isLookup ? "lookup " : "")\(plan.type.rawValue) join\(keys.isEmpty ? "" : " on \(keys)")\(plan.condition == nil ? "" : " and a condition")"
        case .union: return "union"
        case .rank(let plan): return "rank of [\(plan.keys.list)] by [\(plan.order.map(\.column).list)]\(plan.limit.map { " up to \($0)" } ?? "")"
        case .window(let plan): return "window \(plan.window.shape)"
        case .session(let plan): return "session of [\(plan.keys.list)], gap \(plan.gap)"
        case .hold(let closing): return "hold until #\(closing.column) has passed"
        }
    }
}

extension [Int] {
    fileprivate var list: String { map { "#\($0)" }.joined(separator: ", ") }
}

extension Exchange {
    fileprivate var text: String {
        switch self {
        case .none: ""
        case .single: " by single"
        case .broadcast: " by broadcast"
        case .hash(let columns): " by hash(\(columns.list))"
        }
    }
}

extension MapStep {
    fileprivate var text: String {
        switch work {
        case .filter: "filter"
        case .compute(let items): "\(items.count) columns"
        case .extend(let items): "\(items.count) more"
        }
    }
}
