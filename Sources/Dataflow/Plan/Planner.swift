// A bound job becomes a plan: relations from the outputs down, each asked for the columns that somebody above it reads.
//
// A relation gives a `Stream`: a node, and steps (filters, projections) that are still to be put behind it; steps become a node where an
// operator needs rows. Columns that nobody reads are not carried, and a projection that nobody reads is not evaluated, which is what
// the contract says of errors. Where an operator orders rows and needs to complete the order, the relation below also gives the columns that
// do: coordinates of records, keys of groups, left before right.
//
// Nothing is evaluated for rows that the text's order would not have reached: what is moved down cannot fail, and nothing that it moves
// past can. Equalities of a join are the exception that the contract makes: they are asked first.
//
// When adding an operator: its case below, its spelling in `PlanDigest`, its line in `OperatorMaker`.

import SQLBinding
import SQLSyntax
import Values

/// Makes plans.
package struct Planner {
    private let job: BoundJob
    private var tables: [TableDefinition] = []
    private var read: [Set<Int>] = []
    private(set) var nodes: [PlanNode] = []
    private var known: [OperatorID: Int] = [:]
    var policy = FaultPolicy.quarantine

    /// Times as texts and days are those of it.
    private let zone: String

    private init(_ job: BoundJob) {
        self.job = job
        zone = job.settings["timezone"] ?? Zone.utc.name
    }

    /// The plan of a job's outputs; a text that asks a question has one output without a target table.
    /// - Throws: what of the text cannot be kept yet, with its place.
    package static func plan(_ job: BoundJob) throws(SQLError) -> Plan {
        do throws(SQLFault) { return try planned(job) } catch { throw error.error(in: job.text) }
    }

    private static func planned(_ job: BoundJob) throws(SQLFault) -> Plan {
        try NotYet.check(job)
        var planner = Planner(job)
        var outputs: [PlanOutput] = []
        for output in job.outputs { outputs.append(try planner.output(output.target, output.relation, output.options, at: output.place)) }
        if let question = job.question { outputs.append(try planner.output(.view(""), question, TableOptions(), at: Place(0))) }
        let sources = zip(planner.tables, planner.read).map { PlanSource(table: $0, columns: $1.sorted()) }
        return Plan(sources: sources, nodes: planner.nodes, outputs: outputs)
    }

    private mutating func output(
        _ target: JobOutput.Target, _ relation: Relation, _ options: TableOptions, at place: Place
    ) throws(SQLFault) -> PlanOutput {
        let word = options[.onError] ?? job.settings["on_error"] ?? FaultPolicy.quarantine.rawValue
        policy = FaultPolicy(rawValue: word) ?? .quarantine
        let shown = relation.columns.indices.filter { !relation.columns[$0].isHidden }
        var ask = Ask(Set(shown))
        ask.isFinal = options[.emit] == "final"
        var stream = build(relation, ask)
        if ask.isFinal && !stream.isFinal {
            guard let column = shown.first(where: { stream.columns[stream.places[$0]!].watermark != nil }) else { throw NotYet.finalRows(at: place) }
            let place = shown.firstIndex(of: column)!
            let node = sealed(&stream, shown.map { stream.places[$0]! })
            let columns = nodes[node].columns
            let closing = ClosingColumn(column: place, watermark: columns[place].watermark!, judges: !stream.isJudged)
            let held = add(.hold(closing), [PlanInput(node: node, exchange: .hash(Array(columns.indices)))], columns, .append, .watermark) { spelling in
                spelling.add("hold")
                spelling.add(closing.judges ? place * 2 + 1 : place * 2)
            }
            return PlanOutput(target: target, node: held, columns: shown.map { relation.columns[$0] })
        }
        let node = sealed(&stream, shown.map { stream.places[$0]! })
        return PlanOutput(target: target, node: node, columns: shown.map { relation.columns[$0] })
    }

    // MARK: nodes

    /// The node of an operation, made where there is none yet.
    /// - Parameter spell: what of the operation decides its rows.
    mutating func add(
        _ operation: PlanOperation, _ inputs: [PlanInput], _ columns: [PlanColumn], _ kind: EdgeKind, _ bound: StateBound, _ spell: (inout PlanSpelling) -> Void
    ) -> Int {
        var spelling = PlanSpelling()
        spelling.add(zone)
        spell(&spelling)
        spelling.add(inputs.count)
        for input in inputs {
            spelling.add(nodes[input.node].id.description)
            spelling.add(described: input.exchange)
        }
        let id = spelling.digest
        if let node = known[id] { return node }
        nodes.append(PlanNode(id: id, operation: operation, inputs: inputs, columns: columns, kind: kind, bound: bound))
        known[id] = nodes.count - 1
        return nodes.count - 1
    }

    /// The stream's rows with the columns of some of its places, as a node.
    mutating func sealed(_ stream: inout Stream, _ places: [Int]) -> Int {
        let isPlain = places == Array(stream.columns.indices)
        if !isPlain {
            let items = places.map { BoundExpression.column($0, stream.columns[$0].type) }
            stream.steps.append(MapStep(work: .compute(items), policy: policy))
        }
        let columns = places.map { stream.columns[$0] }
        guard !stream.steps.isEmpty else { return stream.node }
        let steps = stream.steps
        return add(.map(steps), [PlanInput(node: stream.node, exchange: .none)], columns, nodes[stream.node].kind, .none) { spelling in
            spelling.add("map")
            spelling.add(steps.count)
            for step in steps { spelling.add(step) }
        }
    }

    // MARK: relations

    mutating func build(_ relation: Relation, _ ask: Ask) -> Stream {
        switch relation.kind {
        case .scan(let table): return scan(table, ask)
        case .values(let rows): return values(rows, relation, ask)
        case .filter: return filtered(relation, ask)
        case .project(let inner, let expressions): return projected(inner, expressions, ask)
        case .aggregate(let inner, let keys, let calls): return aggregated(inner, keys, calls, ask)
        case .join(let type, let left, let right, let condition): return joined(type, left, right, condition?.conjuncts ?? [], ask)
        case .union(let left, let right): return united(left, right, relation, ask)
        case .distinct(let inner): return distinct(inner)
        case .top(let inner, let keys, let order, let count): return top(inner, keys, order, count, ask)
        case .ranked(let inner, let calls): return ranked(inner, calls, ask)
        case .windowed(let inner, let window): return windowed(inner, window, ask)
        }
    }

    private mutating func scan(_ table: TableDefinition, _ ask: Ask) -> Stream {
        let readable = table.readable
        let isUpsert = table.options[.mode] == "upsert"
        var wanted = ask.columns
        let coordinates = table.connector == .kafka ? ["source_topic", "source_partition", "source_offset"].compactMap { name in readable.lastIndex { $0.name == name } } : []
        let completing = isUpsert ? table.key : coordinates
        if ask.isOrdered { wanted.formUnion(completing) }
        if isUpsert { wanted.formUnion(table.key) }
        let numbers = wanted.sorted()
        let index = tables.firstIndex(of: table) ?? tables.count
        if index == tables.count {
            tables.append(table)
            read.append([])
        }
        read[index].formUnion(numbers)
        let columns = numbers.map { number in
            var column = PlanColumn(readable[number].type)
            // Rows of an upsert table come back whenever they are replaced: its event time has no watermark.
            if readable[number].eventTime != .none && !isUpsert && !table.isLookup { column.watermark = .source(table.name) }
            if number < table.columns.count, case .digits(_, let scale) = table.columns[number].modifier { column.scale = scale }
            return column
        }
        let kind: EdgeKind = isUpsert || table.isLookup ? .changes : .append
        var node = add(.read(table: index, columns: numbers), [], columns, kind, .none) { $0.add(table, numbers) }
        let places = Dictionary(uniqueKeysWithValues: numbers.enumerated().map { ($1, $0) })
        if isUpsert {
            let key = table.key.map { places[$0]! }
            node = add(.latest(key: key), [PlanInput(node: node, exchange: .hash(key))], columns, .changes, .grows(with: "the keys of \(table.name)")) { spelling in
                spelling.add("latest")
                for column in key { spelling.add(column) }
            }
        }
        return Stream(node: node, columns: columns, places: places, order: ask.isOrdered ? completing.map { places[$0]! } : [], isRecord: true)
    }

    private mutating func values(_ rows: [[BoundExpression]], _ relation: Relation, _ ask: Ask) -> Stream {
        let types = relation.columns.map(\.type)
        // The number of the row completes an order.
        let numbered = rows.enumerated().map { $1 + [.constant(.word(Int64($0)), .int8)] }
        let columns = types.map { PlanColumn($0) } + [PlanColumn(.int8)]
        let policy = policy
        let node = add(.values(numbered, policy: policy), [], columns, .append, .none) { spelling in
            spelling.add("values")
            spelling.add(policy.rawValue)
            for row in numbered { spelling.add(row) }
        }
        return Stream(
            node: node, columns: columns, places: Dictionary(uniqueKeysWithValues: types.indices.map { ($0, $0) }), order: ask.isOrdered ? [types.count] : [], isRecord: true)
    }

    /// How a block's expressions fail over these rows: behind an aggregate no single record is to blame.
    func policy(over stream: Stream) -> FaultPolicy { stream.isRecord || policy == .stop ? policy : .null }

    private mutating func filtered(_ relation: Relation, _ ask: Ask) -> Stream {
        // The filters that stand together, in their order, the first one first.
        var (inner, conditions) = (relation, [BoundExpression]())
        while case .filter(let below, let condition) = inner.kind {
            conditions = condition.conjuncts + conditions
            inner = below
        }
        if case .join(.inner, let left, let right, let condition) = inner.kind {
            let (moved, kept) = movable(conditions, joinFails: condition?.canFail ?? false)
            var below = ask
            for condition in kept { below.columns.formUnion(condition.columns) }
            below.limits = [:]
            below.isFinal = ask.isFinal && kept.isEmpty
            var stream = joined(.inner, left, right, (condition?.conjuncts ?? []) + moved, below)
            for condition in kept { stream.steps.append(MapStep(work: .filter(stream.over(condition)), policy: policy(over: stream))) }
            return stream
        }
        var below = ask
        for condition in conditions { below.columns.formUnion(condition.columns) }
        if conditions.contains(where: \.canFail) {
            below.limits = [:]
        } else {
            for case let (column, limit)? in conditions.map(\.limit) { below.limits[column] = min(below.limits[column] ?? .max, limit) }
        }
        var stream = build(inner, below)
        for condition in conditions { stream.steps.append(MapStep(work: .filter(stream.over(condition)), policy: policy(over: stream))) }
        return stream
    }

    /// Which conditions of WHERE may be asked within the join below it: equalities, and what cannot fail behind nothing that can.
    private func movable(_ conditions: [BoundExpression], joinFails: Bool) -> (moved: [BoundExpression], kept: [BoundExpression]) {
        var (moved, kept): ([BoundExpression], [BoundExpression]) = ([], [])
        for condition in conditions {
            let isFree = !condition.canFail && !joinFails && !kept.contains { $0.canFail }
            if isFree || (condition.equality != nil && !condition.canFail) { moved.append(condition) } else { kept.append(condition) }
        }
        return (moved, kept)
    }

    private mutating func projected(_ inner: Relation, _ expressions: [BoundExpression], _ ask: Ask) -> Stream {
        let wanted = ask.columns.sorted()
        var below = ask
        below.columns = Set(wanted.flatMap { expressions[$0].columns })
        below.limits = [:]
        if wanted.allSatisfy({ !expressions[$0].canFail }) {
            for (column, limit) in ask.limits { if case .column(let number, _) = expressions[column] { below.limits[number] = limit } }
        }
        var stream = build(inner, below)
        let policy = policy(over: stream)
        let computed = wanted.filter { if case .column = expressions[$0] { false } else { true } }
        var places: [Int: Int] = [:]
        if computed.isEmpty {
            for number in wanted { if case .column(let column, _) = expressions[number] { places[number] = stream.places[column]! } }
        } else {
            let start = stream.columns.count
            let items = computed.map { stream.over(expressions[$0]) }
            for (index, number) in computed.enumerated() {
                places[number] = start + index
                stream.columns.append(stream.column(for: items[index]))
            }
            for number in wanted { if case .column(let column, _) = expressions[number] { places[number] = stream.places[column]! } }
            stream.steps.append(MapStep(work: .extend(items), policy: policy))
        }
        stream.places = places
        return stream
    }

    private mutating func windowed(_ inner: Relation, _ window: TimeWindow, _ ask: Ask) -> Stream {
        let width = inner.columns.count
        var below = Ask(ask.columns.filter { $0 < width }.union([window.time]))
        below.isOrdered = ask.isOrdered
        if case .session(let gap, let keys) = window.shape { return session(inner, window, gap, keys, below) }
        var stream = build(inner, below)
        // What nobody reads is not multiplied.
        let kept = Array(Set(below.columns.map { stream.places[$0]! } + stream.order)).sorted()
        let node = sealed(&stream, kept)
        let time = kept.firstIndex(of: stream.places[window.time]!)!
        var columns = nodes[node].columns
        let watermark = columns[time].watermark
        let type = inner.columns[window.time].type
        columns.append(PlanColumn(type, watermark: watermark.map { .windowStart($0, window) }))
        columns.append(PlanColumn(type, watermark: watermark.map { .windowEnd($0, window) }))
        // A row's own time may be as old as its window is long.
        for index in columns.indices.dropLast(2) where columns[index].watermark != nil && index != time { columns[index].watermark = nil }
        let plan = WindowPlan(window: window, time: time, policy: policy)
        let above = add(.window(plan), [PlanInput(node: node, exchange: .none)], columns, nodes[node].kind, .none) { spelling in
            spelling.add("window")
            spelling.add(described: window.shape)
            spelling.add(described: window.origin)
            spelling.add(time)
            spelling.add(plan.policy.rawValue)
        }
        var places = Dictionary(uniqueKeysWithValues: below.columns.map { ($0, kept.firstIndex(of: stream.places[$0]!)!) })
        places[width] = columns.count - 2
        places[width + 1] = columns.count - 1
        let order = ask.isOrdered ? stream.order.map { kept.firstIndex(of: $0)! } + [columns.count - 2, columns.count - 1] : []
        return Stream(node: above, columns: columns, places: places, order: order, isRecord: stream.isRecord, isJudged: stream.isJudged)
    }

    private mutating func session(_ inner: Relation, _ window: TimeWindow, _ gap: Int64, _ keys: [BoundExpression], _ ask: Ask) -> Stream {
        let width = inner.columns.count
        var below = ask
        below.columns.formUnion(keys.flatMap(\.columns))
        below.isOrdered = true
        var stream = build(inner, below)
        let items = keys.map { stream.over($0) }
        let start = stream.columns.count
        if !items.isEmpty { stream.steps.append(MapStep(work: .extend(items), policy: policy == .null ? .quarantine : policy)) }
        stream.columns += items.map { stream.column(for: $0) }
        let kept = Array(Set(ask.columns.map { stream.places[$0]! } + stream.order)).sorted() + Array(start..<stream.columns.count)
        let node = sealed(&stream, kept)
        let shown = kept.count - items.count
        var columns = Array(nodes[node].columns.prefix(shown))
        let time = kept.firstIndex(of: stream.places[window.time]!)!
        let watermark = columns[time].watermark
        let type = inner.columns[window.time].type
        for index in columns.indices { columns[index].watermark = nil }
        columns.append(PlanColumn(type))
        // A session that is still open ends behind the watermark.
        columns.append(PlanColumn(type, watermark: watermark.map { .before($0, -1) }))
        let keyColumns = Array(shown..<kept.count)
        let plan = SessionPlan(
            types: nodes[node].columns.map(\.type), keys: keyColumns, time: time, gap: gap, isOverChanges: nodes[node].kind == .changes, watermark: watermark,
            judges: !stream.isJudged, policy: policy)
        let exchange: Exchange = keyColumns.isEmpty ? .single : .hash(keyColumns)
        let above = add(.session(plan), [PlanInput(node: node, exchange: exchange)], columns, .changes, watermark == nil ? .grows(with: "all rows") : .watermark) { spelling in
            spelling.add("session")
            spelling.add(described: gap)
            spelling.add(time)
            spelling.add(plan.judges ? 1 : 0)
            spelling.add(plan.policy.rawValue)
        }
        var places = Dictionary(uniqueKeysWithValues: ask.columns.map { ($0, kept.firstIndex(of: stream.places[$0]!)!) })
        places[width] = columns.count - 2
        places[width + 1] = columns.count - 1
        let order = stream.order.map { kept.firstIndex(of: $0)! }
        return Stream(node: above, columns: columns, places: places, order: ask.isOrdered ? order : [], isRecord: stream.isRecord, isJudged: true)
    }

    private mutating func united(_ left: Relation, _ right: Relation, _ relation: Relation, _ ask: Ask) -> Stream {
        let wanted = ask.columns.sorted()
        var below = Ask(ask.columns)
        below.isOrdered = ask.isOrdered
        var sides = [build(left, below), build(right, below)]
        // The branch, then what completes the order in it.
        let orders = sides.map { side in side.order.map { side.columns[$0].type } }
        var nodesOfSides: [Int] = []
        for index in sides.indices {
            var places = wanted.map { sides[index].places[$0]! }
            if ask.isOrdered {
                var items: [BoundExpression] = [.constant(.word(Int64(index)), .int8)]
                for (branch, types) in orders.enumerated() {
                    items += types.enumerated().map { place, type in branch == index ? .column(sides[index].order[place], type) : .constant(.null, type) }
                }
                let start = sides[index].columns.count
                sides[index].steps.append(MapStep(work: .extend(items), policy: policy))
                sides[index].columns += items.map { PlanColumn($0.type) }
                places += Array(start..<start + items.count)
            }
            nodesOfSides.append(sealed(&sides[index], places))
        }
        let pairs = zip(nodes[nodesOfSides[0]].columns, nodes[nodesOfSides[1]].columns)
        let columns = pairs.map { a, b in
            let both: ColumnWatermark? = if let x = a.watermark, let y = b.watermark { x == y ? x : .least(x, y) } else { nil }
            return PlanColumn(a.type, watermark: both, scale: a.scale == b.scale ? a.scale : nil)
        }
        let kind: EdgeKind = nodesOfSides.contains { nodes[$0].kind == .changes } ? .changes : .append
        let node = add(.union, nodesOfSides.map { PlanInput(node: $0, exchange: .none) }, columns, kind, .none) { $0.add("union") }
        return Stream(
            node: node, columns: columns, places: Dictionary(uniqueKeysWithValues: wanted.enumerated().map { ($1, $0) }),
            order: ask.isOrdered ? Array(wanted.count..<columns.count) : [], isRecord: sides.allSatisfy(\.isRecord), isJudged: sides.contains { $0.isJudged })
    }
}
