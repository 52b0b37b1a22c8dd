// What of a table's records is looked at, decided once: which fields are decoded, which only have to be there, what is computed of them.
//
//   read      columns that the plan asks for, what generated ones among them are made of, generated columns that are NOT NULL (whether they are
//             NULL is known only then), and the event time where a query goes by it: a value that fails is an error
//   lenient   the event time where no query reads it, and what it is made of: it moves the watermark if it decodes, and is no error if not
//   present   all other NOT NULL columns: they are looked for, and not decoded
//
// Of an upsert table the key is read out of the record's key, and once more out of the value: the two must agree.

import Dataflow
import SQLBinding
import Values

struct DecodingPlan {
    struct Slot {
        let column: Int
        let conversion: Conversion
        let rule: SlotRule
    }

    struct Generated {
        let column: Int
        let expression: BoundExpression
        /// Where it fails there is no error: nobody reads it.
        let isLenient: Bool
    }

    let table: TableDefinition
    /// By number among `table.readable`.
    let asked: [Int]
    let slots: [Slot]
    let generated: [Generated]
    /// Number of the event time's column.
    let eventTime: Int?
    /// Whether a query goes by the event time.
    let usesEventTime: Bool
    let isUpsert: Bool
    let policy: FaultPolicy

    init(_ table: TableDefinition, columns: [Int], usesEventTime: Bool, policy: FaultPolicy) throws(DecodingError) {
        self.table = table
        self.policy = policy
        asked = columns
        isUpsert = table.options[.mode] == "upsert"
        let eventTime = table.options[.eventTime].flatMap { name in table.columns.firstIndex { $0.name == name } }
        self.eventTime = eventTime
        self.usesEventTime = usesEventTime && eventTime != nil
        func madeOf(_ columns: Set<Int>) -> Set<Int> {
            columns.union(columns.flatMap { table.columns[$0].generated?.columns ?? [] })
        }
        var read = Set(columns.filter { $0 < table.columns.count })
        for (number, column) in table.columns.enumerated() where column.generated != nil && column.isNotNull { read.insert(number) }
        if let eventTime, self.usesEventTime { read.insert(eventTime) }
        read = madeOf(read)
        let lenient = eventTime.map { madeOf([$0]).subtracting(read) } ?? []
        let timeParts = eventTime.flatMap { table.columns[$0].generated?.columns } ?? []
        let key = isUpsert ? Set(table.key) : []
        for number in key where table.columns[number].generated != nil {
            throw DecodingError(
                "key column \(table.columns[number].name) of table \(table.name) is generated", why: "a key is read out of the record's key",
                now: "make another column the key, or write the column's value into the record")
        }
        var slots: [Slot] = []
        for (number, column) in table.columns.enumerated() where column.generated == nil {
            let isRead = read.contains(number) || key.contains(number)
            let isDecoded = isRead || lenient.contains(number)
            guard isDecoded || column.isNotNull else { continue }
            var rule = SlotRule()
            rule.isKey = key.contains(number)
            rule.isNotNull = column.isNotNull && !rule.isKey
            rule.isLenient = !isRead
            rule.isNulled = policy == .null && !rule.isNotNull && !rule.isKey && !(self.usesEventTime && number == eventTime)
            rule.isTimePart = timeParts.contains(number)
            slots.append(Slot(column: number, conversion: isDecoded ? Conversion(column.type) : .presence, rule: rule))
        }
        self.slots = slots
        generated = table.columns.enumerated().compactMap { number, column in
            guard let expression = column.generated, read.contains(number) || lenient.contains(number) else { return nil }
            return Generated(column: number, expression: expression, isLenient: !read.contains(number))
        }
    }
}

/// What becomes of a slot for which a record has no value.
struct SlotRule: BitwiseCopyable {
    enum Default: UInt8 { case none, value, null, fails }

    var whenMissing = Default.none
    var isNotNull = false
    /// A value that fails is NULL, without a word.
    var isLenient = false
    /// A value that fails is NULL, and counted.
    var isNulled = false
    /// A column of an upsert table's key, as the value has it.
    var isKey = false
    /// A generated event time is made of it.
    var isTimePart = false
    /// Without a value it is NULL, and that is all.
    var isPlain = false
}
