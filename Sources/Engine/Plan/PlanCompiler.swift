// From a logical plan to a stage graph: binds names, decides where the stages are cut, and refuses what cannot be right.
//
// What it decides: which source columns are needed (only those are decoded); that filters on source columns run before
// the first lookup; that late rows are taken out after those filters and before it, so that a row counts as late or as
// unmatched, never as both; which slots hold what. What it refuses, it refuses here and not in a batch: unknown
// columns, windows without a watermark, a keyed sink whose key is not the group's (two groups would overwrite each
// other), an ungrouped keyed sink (rows of different partitions have no order), filters after grouping (a row that was
// written cannot be taken back).

struct PlanCompiler {
    private let plan: LogicalPlan
    private var scope: [ScopeColumn] = []
    private var slotCount = 0
    private var steps: [SourceStep] = []
    private var lookups: [LookupSpec] = []
    private var grouping: Grouping?
    private var window: StageGraph.Window?
    private var eventTimeSlot: Int?
    /// Windows of the columns that were made by `tumble`, by slot.
    private var tumbles: [Int: Int64] = [:]
    /// Slots that may be NULL because a field may, not only where a result does not fit.
    private var nullableSlots: Set<Int> = []
    /// Keys in whose rows there may be something that no table finds a row by.
    private var doubtfulKeySlots: [Int] = []
    // After the exchange.
    private var projectionSteps: [Projection.Step] = []
    private var texts: [Int: String] = [:]

    static func compile(_ plan: LogicalPlan) throws -> StageGraph {
        var compiler = PlanCompiler(plan: plan)
        return try compiler.run()
    }

    private init(plan: LogicalPlan) { self.plan = plan }

    private mutating func run() throws -> StageGraph {
        try openSource()
        for step in plan.operators {
            switch step {
            case .filter(let condition): try filter(condition)
            case .join(let lookup, let column): try join(lookup, on: column)
            case .select(let columns): try select(columns)
            case .aggregate(let keys, let aggregates): try group(keys, aggregates)
            }
        }
        let sink = try makeSink()
        let projection = Projection(
            slotCount: slotCount, steps: projectionSteps, outputSlots: scope.map(\.slot),
            texts: scope.map { texts[$0.slot].map { text in "\(text) as " } ?? "" + $0.name })
        return finish(sink, projection)
    }

    // MARK: the operators

    private mutating func openSource() throws {
        var seen: Set<String> = []
        for field in plan.source.schema.fields {
            guard seen.insert(field.name).inserted, SourceCoordinate(rawValue: field.name) == nil else {
                throw mismatch(
                    "the stream of topic \(plan.source.topic) has the column \(field.name) twice",
                    why: "columns are found by their names", now: "name each field once")
            }
            scope.append(newColumn(field.name, field.type, nullable: field.nullable))
            if field.nullable { nullableSlots.insert(slotCount - 1) }
        }
        for coordinate in SourceCoordinate.allCases {
            scope.append(newColumn(coordinate.rawValue, coordinate.type, nullable: false))
        }
        if let name = plan.eventTimeColumn {
            let column = try ExpressionBinder(scope: scope, place: "the watermark").bind(.column(name))
            guard column.type == .timestamp, !column.nullable, case .slot(let slot) = column.node else {
                throw mismatch(
                    "the watermark is taken from \(name)",
                    why: column.nullable ? "it may be NULL" : "it is \(column.type.rawValue), not a timestamp",
                    now: "use a timestamp column that is never NULL")
            }
            guard (0...longestSpanMillis).contains(plan.latenessMillis) else {
                throw mismatch(
                    "the watermark is \(formatDuration(plan.latenessMillis)) behind \(name)",
                    why: "that is less than nothing, or more than 100 years", now: "give another lateness")
            }
            eventTimeSlot = slot
        }
    }

    private mutating func filter(_ condition: Expression) throws {
        guard grouping == nil else {
            throw Failure(
                .notPossible, "the filter \(condition) comes after the grouping",
                why: "a group that was written and falls out of it later could not be taken back",
                now: "filter before groupBy, or in the query that reads the table")
        }
        let bound = try ExpressionBinder(scope: scope, place: "the filter \(condition)").bool(condition)
        let step = SourceStep.filter(bound, text: condition.description)
        var onlySource = true
        let sourceSlots = plan.source.schema.fields.count + SourceCoordinate.allCases.count
        bound.visitSlots { if $0 >= sourceSlots { onlySource = false } }
        let firstOther = steps.firstIndex { if case .filter = $0 { false } else { true } } ?? steps.count
        if onlySource { steps.insert(step, at: firstOther) } else { steps.append(step) }
        // What the filter lets through has a value there.
        bound.slotsKnown { slot in
            nullableSlots.remove(slot)
            for index in scope.indices where scope[index].slot == slot { scope[index].nullable = false }
        }
    }

    private mutating func join(_ lookup: LookupSpec, on column: String) throws {
        let place = "the join with \(lookup.name)"
        guard grouping == nil else {
            throw Failure(
                .notPossible, "\(place) comes after the grouping", why: "lookups work on the rows of the source",
                now: "join before groupBy")
        }
        let key = try ExpressionBinder(scope: scope, place: place).bind(.column(column))
        guard key.type == .text, case .slot(let keySlot) = key.node else {
            throw mismatch(
                "\(place) is on \(column)", why: "it is \(key.type.rawValue); the columns of a lookup are text",
                now: "join on a text column")
        }
        guard lookup.columns.contains(column) else {
            throw mismatch(
                "\(place) is on \(column)", why: "the table has no such column",
                now: "use one of: \(lookup.columns.joined(separator: ", "))")
        }
        guard !lookups.contains(where: { $0.name == lookup.name }) else {
            throw mismatch("two lookups are named \(lookup.name)", why: "the log knows them by name", now: "rename one")
        }
        var values: [(column: Int, slot: Int)] = []
        for (index, name) in lookup.valueColumns.enumerated() {
            guard !scope.contains(where: { $0.name == name }) else {
                throw mismatch(
                    "\(place) adds the column \(name)", why: "the stream has a column of this name already",
                    now: "rename one of them")
            }
            let added = newColumn(name, .text, nullable: false)
            scope.append(added)
            values.append((index, added.slot))
        }
        steps.append(.join(lookup: lookups.count, keySlot: keySlot, values: values))
        lookups.append(lookup)
    }

    private mutating func select(_ columns: [Expression]) throws {
        var next: [ScopeColumn] = []
        for column in columns {
            let name = try self.name(of: column, in: "the select")
            guard !next.contains(where: { $0.name == name }) else {
                throw mismatch("the select has two columns named \(name)", why: "names must differ", now: "rename one")
            }
            let bound = try ExpressionBinder(scope: scope, place: "column \(name)").bind(column)
            next.append(
                ScopeColumn(
                    name: name, slot: try place(bound, column.unnamed), type: bound.type, nullable: bound.nullable))
        }
        guard !next.isEmpty else {
            throw mismatch("the select is empty", why: "a row has at least one column", now: "name its columns")
        }
        scope = next
    }

    private mutating func group(_ keyExpressions: [Expression], _ aggregates: [Aggregate]) throws {
        guard grouping == nil else {
            throw Failure(
                .notPossible, "the job groups twice", why: "a job has at most one exchange",
                now: "write the first grouping to a topic and read it with a second job")
        }
        guard !keyExpressions.isEmpty, !aggregates.isEmpty else {
            throw mismatch(
                "the grouping has no \(keyExpressions.isEmpty ? "key" : "aggregate")",
                why: "a group needs a key and something to keep", now: "give groupBy and agg an argument each")
        }
        var keys: [Grouping.Key] = []
        for expression in keyExpressions {
            let name = try self.name(of: expression, in: "groupBy")
            let bound = try ExpressionBinder(scope: scope, place: "the key \(name)").bind(expression)
            let slot = try place(bound, expression.unnamed)
            try checkKey(name, slot, bound)
            if let lengthMillis = tumbles[slot] {
                guard window == nil else {
                    throw mismatch(
                        "the grouping has two windows", why: "a group belongs to one window", now: "keep one tumble")
                }
                window = StageGraph.Window(keyColumn: keys.count, lengthMillis: lengthMillis)
            }
            keys.append(
                Grouping.Key(
                    field: Field(name, bound.type), slot: slot,
                    text: expression.description))
        }
        var layout = AccumulatorLayout()
        for aggregate in aggregates { try add(aggregate, to: &layout) }
        let names = keys.map(\.field.name) + layout.outputs.map(\.field.name)
        guard Set(names).count == names.count else {
            throw mismatch(
                "the grouping has two columns of one name", why: "columns: \(names.joined(separator: ", "))",
                now: "name them with .as(...)")
        }
        if let window, let eventTimeSlot {
            let late = SourceStep.dropLate(slot: eventTimeSlot, lengthMillis: window.lengthMillis)
            let firstJoin = steps.firstIndex { if case .join = $0 { true } else { false } } ?? steps.count
            steps.insert(late, at: firstJoin)
        }
        grouping = Grouping(keys: keys, layout: layout)
        // From here on the slots are those of the grouped rows: keys, then aggregates.
        sourceSlotCount = slotCount
        slotCount = 0
        texts = [:]
        nullableSlots = []
        scope = keys.map { newColumn($0.field.name, $0.field.type, nullable: $0.field.nullable) }
        scope += layout.outputs.map { newColumn($0.field.name, $0.field.type, nullable: $0.field.nullable) }
    }

    private var sourceSlotCount: Int?

    /// A key that may be NULL is refused where a field says so; where only a row can tell, the row will be asked.
    private mutating func checkKey(_ name: String, _ slot: Int, _ bound: BoundExpression) throws {
        guard !bound.isNullable(nullableSlots.contains) else {
            throw mismatch(
                "the column \(name) is part of a key and may be NULL",
                why: "no table finds a row by NULL: PostgreSQL refuses it, others would keep it twice",
                now: "filter such rows out before with !col(\"\(name)\").isNull, or declare the field without NULL: then their records are rejected")
        }
        if bound.nullable || bound.type == .float64 { doubtfulKeySlots.append(slot) }
    }

    private mutating func add(_ aggregate: Aggregate, to layout: inout AccumulatorLayout) throws {
        let name =
            aggregate.name ?? (aggregate.input?.ownName).map { "\(aggregate.function.rawValue)_\($0)" }
            ?? aggregate.function.rawValue
        let binder = ExpressionBinder(scope: scope, place: "the aggregate \(name)")
        var input: (slot: Int, type: ValueType, nullable: Bool)?
        if let condition = aggregate.condition {
            let bound = try binder.bool(condition)
            input = (try place(bound, condition), .bool, bound.nullable)
        } else if let expression = aggregate.input {
            let bound = try binder.bind(expression)
            let numbers: [ValueType] =
                switch aggregate.function {
                case .count: [.int64, .float64, .text, .bool, .timestamp]
                case .sum, .avg: [.int64, .float64]
                case .min, .max: [.int64, .float64, .timestamp]
                }
            guard numbers.contains(bound.type) else {
                throw mismatch(
                    "the aggregate \(name) takes \(aggregate.function.rawValue) of \(expression)",
                    why: "it is \(bound.type.rawValue)",
                    now: "use a value of one of these types: \(numbers.map(\.rawValue).joined(separator: ", "))")
            }
            input = (try place(bound, expression.unnamed), bound.type, bound.nullable)
        }
        layout.add(aggregate.function, of: input, name: name, text: aggregate.text)
    }

    // MARK: the end

    private mutating func makeSink() throws -> SinkTable {
        guard let target = plan.sink else { preconditionFailure("a plan without a sink reached the compiler") }
        for name in target.key where !scope.contains(where: { $0.name == name }) {
            throw mismatch(
                "the table \(target.name) is keyed by \(name)", why: "the rows have no such column",
                now: "use one of: \(scope.map(\.name).joined(separator: ", "))")
        }
        switch (target.mode, grouping) {
        case (.keyedUpsert, nil):
            throw Failure(
                .notPossible, "the table \(target.name) is keyed, but the job does not group",
                why: "rows of one key from two partitions have no order, so the last one is not defined",
                now: "group by the key, or use .append")
        case (.append, .some):
            throw Failure(
                .notPossible, "the table \(target.name) is appended to, but the job groups",
                why: "a group's row changes with every batch", now: "use .table(\"\(target.name)\", key: ...)")
        case (.append, nil):
            for name in target.key {
                guard let column = scope.first(where: { $0.name == name }) else { continue }
                try checkKey(
                    name, column.slot,
                    BoundExpression(node: .slot(column.slot), type: column.type, nullable: column.nullable))
            }
        case (.keyedUpsert, .some(let grouping)):
            // The slots 0 ..< keys.count are the keys themselves.
            let keySlots = Set(target.key.compactMap { name in scope.first { $0.name == name }?.slot })
            guard keySlots == Set(grouping.keys.indices) else {
                throw mismatch(
                    "the table \(target.name) is keyed by \(target.key.joined(separator: ", "))",
                    why: "the job groups by \(grouping.keys.map(\.field.name).joined(separator: ", "))",
                    now: "use the same columns, or two groups would overwrite each other")
            }
        }
        return SinkTable(
            name: target.name, schema: Schema(scope.map { Field($0.name, $0.type, nullable: $0.nullable) }),
            key: target.key, mode: target.mode)
    }

    private func finish(_ sink: SinkTable, _ projection: Projection) -> StageGraph {
        // Only what a step, a key, an aggregate or the projection reads is decoded.
        var used: Set<Int> = eventTimeSlot.map { [$0] } ?? []
        for step in steps {
            switch step {
            case .filter(let expression, _), .compute(let expression, _, _):
                expression.visitSlots { used.insert($0) }
            case .dropLate(let slot, _): used.insert(slot)
            case .join(_, let keySlot, _): used.insert(keySlot)
            }
        }
        if let grouping {
            used.formUnion(grouping.keys.map(\.slot))
            used.formUnion(grouping.layout.feeds.compactMap(\.slot))
        } else {
            used.formUnion(projection.outputSlots)
        }
        let fields = plan.source.schema.fields
        let decoderSlots = fields.indices.filter { used.contains($0) }
        let coordinates = SourceCoordinate.allCases.enumerated()
            .map { (coordinate: $0.element, slot: fields.count + $0.offset) }.filter { used.contains($0.slot) }
        let steps = steps.map { step -> SourceStep in
            guard case .join(let lookup, let keySlot, let values) = step else { return step }
            return .join(lookup: lookup, keySlot: keySlot, values: values.filter { used.contains($0.slot) })
        }
        return StageGraph(
            plan: plan,
            source: StageGraph.Source(
                topic: plan.source.topic, format: plan.source.format,
                neededSchema: Schema(decoderSlots.map { fields[$0] }), eventTimeColumn: plan.eventTimeColumn,
                latenessMillis: plan.latenessMillis),
            lookups: lookups, window: window, sink: sink, slotCount: sourceSlotCount ?? slotCount,
            eventTimeSlot: eventTimeSlot, decoderSlots: decoderSlots, coordinates: coordinates, steps: steps,
            grouping: grouping, projection: projection, doubtfulKeySlots: doubtfulKeySlots)
    }

    // MARK: slots

    private mutating func newColumn(_ name: String, _ type: ValueType, nullable: Bool) -> ScopeColumn {
        defer { slotCount += 1 }
        return ScopeColumn(name: name, slot: slotCount, type: type, nullable: nullable)
    }

    /// The slot of a bound expression: its own if it is a column, otherwise a new one with the step that fills it.
    private mutating func place(_ bound: BoundExpression, _ written: Expression) throws -> Int {
        if case .slot(let slot) = bound.node { return slot }
        let slot = slotCount
        slotCount += 1
        texts[slot] = written.description
        if bound.isNullable(nullableSlots.contains) { nullableSlots.insert(slot) }
        if grouping == nil {
            if case .tumble(let inner, let lengthMillis) = bound.node {
                guard case .slot(let time) = inner.node, time == eventTimeSlot else {
                    throw mismatch(
                        "the job puts rows into windows: \(written)",
                        why: eventTimeSlot == nil
                            ? "the stream has no watermark, so no window would ever close"
                            : "the watermark follows \(plan.eventTimeColumn ?? "another column")",
                        now: "use withWatermark and tumble on the same column")
                }
                tumbles[slot] = lengthMillis
            }
            steps.append(.compute(bound, slot: slot, text: written.description))
        } else {
            projectionSteps.append(Projection.Step(expression: bound, slot: slot, text: written.description))
        }
        return slot
    }

    private func name(of expression: Expression, in place: String) throws -> String {
        if let name = expression.ownName { return name }
        throw mismatch(
            "\(place) has the column \(expression) without a name", why: "a computed column has no name of its own",
            now: "name it with .as(\"...\")")
    }

    private func mismatch(_ what: String, why: String, now: String) -> Failure {
        Failure(.schemaMismatch, what, why: why, now: now)
    }
}
