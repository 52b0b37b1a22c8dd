// What a query block refuses, in the words of the clause that it happened in.

import SQLSyntax

enum BlockFault {
    static func aggregate(_ call: FunctionCall, in clause: Clause) -> SQLFault {
        let (why, hint) =
            switch clause {
            case .filter: ("WHERE chooses rows before they are grouped", "write the condition in HAVING")
            case .argument: ("an aggregate has no aggregate in it", "aggregate in a query in FROM, and aggregate that")
            case .on: ("rows are joined before they are grouped", "aggregate in a query in FROM")
            case .group: ("rows are grouped before they are aggregated", "group by columns")
            default: ("only SELECT, HAVING and ORDER BY see aggregates", "compute it in a query in FROM")
            }
        return SQLFault("aggregate \(call.name.text) in \(clause.rawValue)", at: call.name.place, why: why, hint: hint)
    }

    static func rank(_ call: FunctionCall, in clause: Clause) -> SQLFault {
        SQLFault(
            "\(call.name.text) in \(clause.rawValue)", at: call.name.place, why: "places are given to the rows that are left",
            hint: "compute it in a query in FROM, and use its column")
    }

    static func ungrouped(_ name: String, at place: Place) -> SQLFault {
        SQLFault(
            "column \"\(name)\" is neither in GROUP BY nor in an aggregate", at: place, why: "the rows of a group may differ in it",
            hint: "add it to GROUP BY, or aggregate it: max(\(name))")
    }
}
