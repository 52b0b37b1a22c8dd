// Where a plan is cut for workers: what runs beside the records, and what runs in parts behind an exchange.
//
//   beside the records   nodes that no exchange stands before: reading, maps, windows, and joins with lookup tables, whose rows are there
//   behind the exchange  all others; a row comes to a part by the key group of the columns that its edge names
//
// There is one exchange. A plan that needs another behind it runs everything behind the first in one part, where an exchange moves nothing:
// right for every plan, and as slow as one thread. So it does where a keyed table could get the rows of one key from two parts.
//
// Nodes of lookup tables stand still: they are computed where a join needs them, from the content that the plan of a batch names.
//
// When changing it: a node's state belongs to the key group of the node's own exchange. Two parts must never hold one group, so an edge
// within the second half counts as no exchange only where it names the very columns, in their order, that brought the rows there.

import SQLBinding
import Values

package struct StageCut: Sendable, Hashable {
    /// Rows that go from the first half to the second.
    package struct Edge: Sendable, Hashable {
        package let from: Int
        package let exchange: Exchange
    }

    /// Numbers of nodes, ascending.
    package private(set) var beside: [Int] = []
    package private(set) var behind: [Int] = []
    package private(set) var still: [Int] = []
    /// A block's rows are of one of these, by its number.
    package private(set) var edges: [Edge] = []
    /// 1 where more would not be right.
    package private(set) var mostParts: Int?

    package var hasExchange: Bool { !behind.isEmpty }

    /// - Parameters:
    ///   - key: numbers of the output's columns that are the key of its table; nil for a table to which rows are only added.
    ///   - needsExchange: rows of different ranges must not be written by one part each.
    package init(_ plan: Plan, key: [Int]?, needsExchange: Bool = false) throws(StageCutFault) {
        var half = [Half](repeating: .beside, count: plan.nodes.count)
        for (number, node) in plan.nodes.enumerated() {
            half[number] = try Self.half(node, half, plan)
            if needsExchange, half[number] == .beside, plan.outputs.contains(where: { $0.node == number }) { half[number] = .behind }
            switch half[number] {
            case .beside: beside.append(number)
            case .behind: behind.append(number)
            case .still: still.append(number)
            }
        }
        for number in behind {
            for input in plan.nodes[number].inputs where half[input.node] == .beside {
                let edge = Edge(from: input.node, exchange: Self.crossing(input, plan))
                if !edges.contains(edge) { edges.append(edge) }
            }
        }
        var placed: [Int: [Int]] = [:]
        var isOne = false
        for number in behind {
            let node = plan.nodes[number]
            var ways: [[Int]?] = []
            for input in node.inputs where half[input.node] != .still {
                if node.isLookupJoin {
                    ways.append(placed[input.node])
                    continue
                }
                switch (half[input.node], input.exchange) {
                case (.beside, .none): ways.append(nil)
                case (.beside, .hash(let columns)): ways.append(columns)
                case (.beside, .single): ways.append([])
                case (.beside, .broadcast), (_, .broadcast): isOne = true
                case (_, .none): ways.append(placed[input.node])
                case (_, .hash(let columns)):
                    if placed[input.node] != columns { isOne = true }
                    ways.append(columns)
                case (_, .single):
                    if placed[input.node] != [] { isOne = true }
                    ways.append([])
                }
            }
            placed[number] = node.placement(ways)
        }
        if let output = plan.outputs.first?.node, half[output] == .behind, let key, plan.nodes[output].kind == .changes {
            if let columns = placed[output], Set(columns).isSubset(of: key) {} else { isOne = true }
        }
        if isOne { mostParts = 1 }
    }

    private enum Half { case beside, behind, still }

    private static func half(_ node: PlanNode, _ half: [Half], _ plan: Plan) throws(StageCutFault) -> Half {
        if case .read(let table, _) = node.operation { return plan.sources[table].table.isLookup ? .still : .beside }
        if case .values = node.operation { return .behind }
        var result = Half.beside
        for (place, input) in node.inputs.enumerated() {
            if half[input.node] == .still {
                if node.isLookupJoin && place == 1 { continue }
                if case .map = node.operation { return .still }
                throw StageCutFault(table: Self.table(of: input.node, plan), isBesideChanges: place == 1 && node.isJoin && plan.nodes[node.inputs[0].node].kind == .changes)
            }
            if half[input.node] == .behind || (input.exchange != .none && !node.isLookupJoin) { result = .behind }
        }
        return result
    }

    private static func table(of node: Int, _ plan: Plan) -> String {
        if case .read(let table, _) = plan.nodes[node].operation { return plan.sources[table].table.name }
        return plan.nodes[node].inputs.first.map { Self.table(of: $0.node, plan) } ?? ""
    }

    /// How the rows of an edge that crosses are spread: those that need no place go by all they are, so that they go the same way again.
    private static func crossing(_ input: PlanInput, _ plan: Plan) -> Exchange {
        input.exchange == .none ? .hash(Array(plan.nodes[input.node].columns.indices)) : input.exchange
    }

    /// The number of the edge by which a node of the second half gets an input; nil for one from the second half.
    package func edge(of input: PlanInput, in plan: Plan) -> Int? {
        beside.contains(input.node) ? edges.firstIndex(of: Edge(from: input.node, exchange: Self.crossing(input, plan))) : nil
    }
}

/// A lookup table that stands where only a stream of rows can be kept so far.
package struct StageCutFault: Error, Hashable {
    package let table: String
    /// The rows that it is joined with may be taken back.
    package let isBesideChanges: Bool
}

extension PlanNode {
    /// Its second input stands still, and its first needs no exchange for it.
    package var isLookupJoin: Bool {
        guard case .join(let plan) = operation else { return false }
        return plan.isLookup
    }

    /// By which of its columns its rows have come where they are; nil where that cannot be said.
    /// - Parameter ways: the same of its inputs.
    fileprivate func placement(_ ways: [[Int]?]) -> [Int]? {
        guard let first = ways.first, let way = first, ways.count == 1 || ways.allSatisfy({ $0 == first }) || isJoin else { return nil }
        func shown(_ places: [Int]) -> [Int]? {
            var result: [Int] = []
            for column in way {
                guard let place = places.firstIndex(of: column) else { return nil }
                result.append(place)
            }
            return result
        }
        switch operation {
        case .read, .values, .hold: return nil
        case .session: return way.isEmpty ? [] : nil
        case .union, .latest, .window: return way
        case .aggregate(let plan, _): return way.allSatisfy { $0 < plan.keyCount } ? way : nil
        case .rank(let plan): return shown(plan.shown)
        case .join(let plan): return plan.type == .right || plan.type == .full ? nil : shown(plan.left.shown)
        case .map(let steps):
            var columns: [Int]? = way
            for step in steps {
                guard case .compute(let items) = step.work else { continue }
                let before = columns ?? []
                var next: [Int] = []
                for column in before {
                    guard let place = items.firstIndex(where: { if case .column(column, _) = $0 { true } else { false } }) else { return nil }
                    next.append(place)
                }
                columns = next
            }
            return columns
        }
    }

    fileprivate var isJoin: Bool { if case .join = operation { true } else { false } }
}
