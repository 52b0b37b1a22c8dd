// The one spelling of an operation, and its digest.
//
// What is written here decides whether state is kept when a job's text changes: everything that decides an operator's rows stands in it,
// nothing else. The spelling of a value is its kind, a length and its parts, so that no two values have one spelling.

import CXXHash
import SQLBinding
import Values

struct PlanSpelling {
    private(set) var text = ""

    mutating func add(_ word: String) { text += "\(word.utf8.count):\(word)" }
    mutating func add(_ number: Int) { text += "\(number);" }

    mutating func add(_ expression: BoundExpression) {
        switch expression {
        case .column(let number, let type):
            add("column")
            add(number)
            add(type.name)
        case .constant(let value, let type):
            add("constant")
            add(type.name)
            add(String(describing: value))
        case .call(let overload, let arguments, _):
            add("call")
            add(overload.signature)
            add(overload.result.name)
            add(arguments)
        case .and(let left, let right): add("and", [left, right])
        case .or(let left, let right): add("or", [left, right])
        case .not(let inner): add("not", [inner])
        case .test(let inner, let test): add("\(test)", [inner])
        case .distinct(let left, let right): add("distinct", [left, right])
        case .among(let value, let members):
            add("among", [value])
            add(members.count)
            for member in members { add(String(describing: member)) }
        case .nullWhere(let condition, let value): add("nullWhere", [condition, value])
        case .choose(let branches, let otherwise):
            add("choose", branches.flatMap { [$0.condition, $0.value] })
            add(otherwise.map { [$0] } ?? [])
        case .coalesce(let items): add("coalesce", items)
        case .extreme(let extreme, let items): add("\(extreme)", items)
        }
    }

    private mutating func add(_ word: String, _ parts: [BoundExpression]) {
        add(word)
        add(parts)
    }

    mutating func add(_ expressions: [BoundExpression]) {
        add(expressions.count)
        for expression in expressions { add(expression) }
    }

    mutating func add(_ step: MapStep) {
        add(step.policy.rawValue)
        switch step.work {
        case .filter(let condition): add("filter", [condition])
        case .compute(let items): add("compute", items)
        case .extend(let items): add("extend", items)
        }
    }

    /// What of a table decides its rows, and the columns that are read.
    mutating func add(_ table: TableDefinition, _ columns: [Int]) {
        add("read")
        let deciding: [OptionName] = [
            .connector, .topic, .format, .mode, .url, .table, .refresh, .changes, .lateness, .version, .schema, .keyFormat, .eventTime, .deleteKeep, .onError, .maxFuture,
        ]
        for name in deciding { add(table.options[name] ?? "-") }
        if table.options[.topic] == nil && table.options[.table] == nil { add(table.name) }
        add(table.key.count)
        for column in table.key { add(table.columns[column].name) }
        let readable = table.readable
        add(columns.count)
        for number in columns {
            add(readable[number].name)
            add(readable[number].type.name)
            guard number < table.columns.count else { continue }
            let column = table.columns[number]
            add(String(describing: column.modifier))
            add(column.isNotNull ? 1 : 0)
            add(column.defaultValue.map { [$0.placeless] } ?? [])
            add(column.generated.map { [$0.placeless] } ?? [])
        }
    }

    /// Values whose description has all of their parts: names of enums, numbers, lists of them.
    mutating func add(described value: some Hashable) { add(String(describing: value)) }

    var digest: OperatorID {
        var text = text
        let hash = text.withUTF8 { XXH3_128bits($0.baseAddress, $0.count) }
        return OperatorID(high: hash.high64, low: hash.low64)
    }
}
