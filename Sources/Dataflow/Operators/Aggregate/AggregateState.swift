// The accumulators that some calls need, each once, and how answers come out of them.
//
// A call is a question to one or two accumulators; which ones there are is decided here and nowhere else. An average is divided by the
// `/` of the function table, as PostgreSQL divides.

import SQLBinding
import Values

final class AggregateState {
    private struct Source {
        let accumulator: any Accumulator
        /// nil: it needs no column.
        let argument: Int?
        /// The value set whose comings and goings feed it; nil for rows as they are.
        let set: Int?
    }

    private enum Answer {
        case count(CountAccumulator)
        case integerSum(IntegerTotals, CountAccumulator)
        case numericSum(NumericTotals, CountAccumulator)
        case floatSum(FloatTotals, CountAccumulator, isAverage: Bool)
        case intervalSum(IntervalTotals, CountAccumulator)
        case integerAverage(IntegerTotals, CountAccumulator)
        case numericAverage(NumericTotals, CountAccumulator)
        case intervalAverage(IntervalTotals, CountAccumulator)
        case first(FirstInOrder)
        case extreme(ValueSet, isGreatest: Bool)
        case all(trues: CountAccumulator, values: CountAccumulator)
        case any(trues: CountAccumulator, values: CountAccumulator)
    }

    /// The rows of each group.
    let rows = CountAccumulator(.rows)
    private var sources: [Source] = []
    private var answers: [Answer] = []
    private(set) var sets: [(argument: Int, set: ValueSet, isDistinct: Bool)] = []
    private let plan: AggregatePlan
    private let pool: BufferPool
    private let divide: [Int: Program]
    private var bound = 0
    private var memory = Scratch<Int32>()
    private var signs = Scratch<Int64>()
    private var groups = Scratch<Int32>()

    init(_ plan: AggregatePlan, pool: BufferPool) {
        self.plan = plan
        self.pool = pool
        var divide: [Int: Program] = [:]
        for (index, call) in plan.calls.enumerated() where call.function == .avg {
            let type = plan.inputTypes[call.argument!]
            let (dividend, divisor): (SQLType, SQLType) = type == .interval ? (.interval, .float8) : (.numeric, .numeric)
            if type == .float4 || type == .float8 { continue }
            guard let overload = try? FunctionTable.shared.resolve(name: "/", arguments: [dividend, divisor]) else { preconditionFailure("there is no / of \(dividend.name)") }
            divide[index] = Program([.call(overload, [.column(0, dividend), .column(1, divisor)], at: 0)], pool: pool)
        }
        self.divide = divide
        sources.append(Source(accumulator: rows, argument: nil, set: nil))
        makeSets()
        var made: [String: any Accumulator] = [:]
        for call in plan.calls { answers.append(answer(call, &made)) }
    }

    /// For each argument the values that DISTINCT tells apart, and those among which the least or the greatest is found.
    private func makeSets() {
        func arguments(_ calls: [AggregatePlan.Call]) -> [Int] { Set(calls.map { $0.argument! }).sorted() }
        let distinct = plan.calls.filter(\.countsDistinct)
        for argument in arguments(distinct) {
            sets.append((argument, ValueSet(plan.inputTypes[argument], wantsLeast: false, wantsGreatest: false, pool: pool), true))
        }
        let extremes = plan.isOverChanges ? plan.calls.filter { $0.function == .min || $0.function == .max } : []
        for argument in arguments(extremes) {
            let functions = extremes.filter { $0.argument == argument }.map(\.function)
            let set = ValueSet(plan.inputTypes[argument], wantsLeast: functions.contains(.min), wantsGreatest: functions.contains(.max), pool: pool)
            sets.append((argument, set, false))
        }
    }

    private func answer(_ call: AggregatePlan.Call, _ made: inout [String: any Accumulator]) -> Answer {
        guard let argument = call.argument else { return .count(rows) }
        let set = call.countsDistinct ? sets.firstIndex { $0.argument == argument && $0.isDistinct } : nil
        func shared<A: Accumulator>(_ name: String, _ make: () -> A) -> A {
            let key = "\(name) \(argument) \(set == nil)"
            if let known = made[key] as? A { return known }
            let accumulator = make()
            made[key] = accumulator
            sources.append(Source(accumulator: accumulator, argument: argument, set: set))
            return accumulator
        }
        let type = plan.inputTypes[argument]
        func count() -> CountAccumulator { shared("count") { CountAccumulator(.values) } }
        switch (call.function, type) {
        case (.count, _): return .count(count())
        case (.sum, .int2), (.sum, .int4), (.sum, .int8): return .integerSum(shared("integers") { IntegerTotals() }, count())
        case (.sum, .numeric): return .numericSum(shared("numerics") { NumericTotals() }, count())
        case (.sum, .interval): return .intervalSum(shared("intervals") { IntervalTotals() }, count())
        case (.sum, _): return .floatSum(shared("floats") { FloatTotals() }, count(), isAverage: false)
        case (.avg, .int2), (.avg, .int4), (.avg, .int8): return .integerAverage(shared("integers") { IntegerTotals() }, count())
        case (.avg, .numeric): return .numericAverage(shared("numerics") { NumericTotals() }, count())
        case (.avg, .interval): return .intervalAverage(shared("intervals") { IntervalTotals() }, count())
        case (.avg, _): return .floatSum(shared("floats") { FloatTotals() }, count(), isAverage: true)
        case (.min, _), (.max, _):
            let isGreatest = call.function == .max
            if plan.isOverChanges { return .extreme(sets.first { $0.argument == argument && !$0.isDistinct }!.set, isGreatest: isGreatest) }
            return .first(shared(isGreatest ? "greatest" : "least") { FirstInOrder(type, isGreatest: isGreatest) })
        case (.boolAnd, _): return .all(trues: shared("trues") { CountAccumulator(.trues) }, values: count())
        case (.boolOr, _): return .any(trues: shared("trues") { CountAccumulator(.trues) }, values: count())
        }
    }

    var byteCount: Int { sources.reduce(0) { $0 + $1.accumulator.byteCount } + sets.reduce(0) { $0 + $1.set.byteCount } }

    func reserve(_ bound: Int) {
        if bound <= self.bound { return }
        self.bound = max(bound, self.bound * 2)
        for source in sources { source.accumulator.reserve(self.bound) }
    }

    func add(_ added: AddedRows, _ chunk: Chunk, _ cells: ChunkCells, batch: UInt32) {
        for source in sources where source.set == nil { source.accumulator.add(added, cells.views[source.argument ?? 0]) }
        for (index, (argument, set, isDistinct)) in sets.enumerated() {
            let (rows, groups, signs) = (memory.room(added.count), self.groups.room(added.count), self.signs.room(added.count))
            var count = 0
            set.add(added, chunk.columns[argument], chunkCount: chunk.count, batch: batch) { row, group, sign in
                rows[count] = Int32(truncatingIfNeeded: row)
                groups[count] = group
                signs[count] = sign
                count += 1
            }
            let changed = AddedRows(rows: UnsafePointer(rows), groups: UnsafePointer(groups), weights: UnsafePointer(signs), count: count)
            guard isDistinct, count > 0 else { continue }
            // What is added and taken away again must be the same, whatever the rows looked like.
            let values = ChunkCells([StoredColumn.underOneLook(chunk.columns[argument], count: chunk.count, keyScale: plan.scales[argument], pool: pool)], count: chunk.count)
            for source in sources where source.set == index { source.accumulator.add(changed, values.views[0]) }
            withExtendedLifetime(values) {}
        }
    }

    func clear(_ group: Int) {
        for source in sources { source.accumulator.clear(group) }
    }

    func write(_ group: Int, to sink: inout StateBytes) {
        for source in sources { source.accumulator.write(group, to: &sink) }
    }

    func read(_ group: Int, from source: inout StateReader) throws(StateFault) {
        for accumulator in sources.map(\.accumulator) { try accumulator.read(group, from: &source) }
    }

    // MARK: answers

    /// The calls' answers for some groups.
    /// - Parameter fault: told of each answer that its type does not hold; it is NULL.
    func results(_ groups: UnsafePointer<Int32>, count: Int, fault: (RowFault) -> Void) -> [Vector] {
        answers.enumerated().map { index, answer in result(answer, index, groups, count, fault) }
    }

    private func result(_ answer: Answer, _ index: Int, _ groups: UnsafePointer<Int32>, _ count: Int, _ fault: (RowFault) -> Void) -> Vector {
        let type = plan.calls[index].type
        var writer = VectorWriter(type, count: count, pool: pool)
        switch answer {
        case .count(let counts):
            let out = pool.take(max(count, 1) * 8)
            let words = out.base.assumingMemoryBound(to: Int64.self)
            for place in 0..<count { words[place] = counts[Int(groups[place])] }
            return Vector(.int8, count: count, values: out)
        case .integerSum(let totals, let counts) where type == .numeric:
            return numerics(groups, count, counts) { totals.totals[$0] }
        case .integerSum(let totals, let counts):
            for place in 0..<count {
                let group = Int(groups[place])
                guard counts[group] > 0 else {
                    writer.setNull(place)
                    continue
                }
                let total = totals.totals[group]
                if let word = Int64(exactly: total) {
                    writer.store(place, word)
                } else {
                    writer.setNull(place)
                    fault(RowFault("22003", "\(type.name) out of range"))
                }
            }
        case .numericSum(let totals, let counts):
            for place in 0..<count {
                let group = Int(groups[place])
                if counts[group] > 0, let sum = totals.sum(group) {
                    writer.store(place, sum)
                } else {
                    writer.setNull(place)
                    if counts[group] > 0 { fault(RowFault("22003", "value has more than the 38 digits that a numeric holds here")) }
                }
            }
        case .floatSum(let totals, let counts, let isAverage):
            for place in 0..<count {
                let group = Int(groups[place])
                let sum = counts[group] > 0 ? totals.sum(group, dividedBy: isAverage ? counts[group] : 1) : nil
                let rounded = sum.map { type == .float4 ? Double(Float($0)) : $0 }
                if let rounded, rounded.isFinite || sum?.isFinite != true {
                    writer.store(place, rounded)
                } else {
                    writer.setNull(place)
                    if counts[group] > 0 { fault(RowFault("22003", "value out of range: overflow")) }
                }
            }
        case .intervalSum(let totals, let counts):
            for place in 0..<count {
                let group = Int(groups[place])
                if counts[group] > 0, let sum = totals.totals[group].interval {
                    writer.store(place, sum)
                } else {
                    writer.setNull(place)
                    if counts[group] > 0 { fault(RowFault("22008", "interval out of range")) }
                }
            }
        case .integerAverage(let totals, let counts):
            return average(index, groups, count, counts, .numeric, fault) { group in .numeric(Numeric(units: totals.totals[group], scale: 0)) }
        case .numericAverage(let totals, let counts):
            return average(index, groups, count, counts, .numeric, fault) { group in totals.sum(group).map { .numeric($0) } }
        case .intervalAverage(let totals, let counts):
            return average(index, groups, count, counts, .interval, fault) { group in totals.totals[group].interval.map { .interval($0) } }
        case .first(let values): return values.gather(groups, count: count, pool: pool)
        case .extreme(let set, let isGreatest): return set.extremes(isGreatest ? set.greatest! : set.least!, groups, count: count)
        case .all(let trues, let values), .any(let trues, let values):
            let isAny = if case .any = answer { true } else { false }
            for place in 0..<count {
                let group = Int(groups[place])
                if values[group] > 0 { writer.store(place, isAny ? trues[group] > 0 : trues[group] == values[group]) } else { writer.setNull(place) }
            }
        }
        return writer.finish()
    }

    /// Whole numbers, NULL for groups without values.
    @inline(__always)
    private func numerics(_ groups: UnsafePointer<Int32>, _ count: Int, _ counts: CountAccumulator, _ total: (Int) -> Int128) -> Vector {
        let (values, scales) = (pool.take(max(count, 1) * 16), pool.take(max(count, 1)))
        let (units, known) = (values.base.assumingMemoryBound(to: Int128.self), counts.base)
        scales.base.initializeMemory(as: UInt8.self, repeating: 0, count: max(count, 1))
        var missing = 0
        for place in 0..<count {
            let group = Int(groups[place])
            units[place] = total(group)
            missing += known[group] > 0 ? 0 : 1
        }
        if missing == 0 { return Vector(.numeric, count: count, values: values, extra: scales) }
        let validity = pool.take((count + 63) / 64 * 8)
        let bits = validity.base.assumingMemoryBound(to: UInt64.self)
        bits.update(repeating: 0, count: (count + 63) / 64)
        for place in 0..<count where known[Int(groups[place])] > 0 { bits[place >> 6] |= 1 << UInt64(place & 63) }
        return Vector(.numeric, count: count, values: values, extra: scales, validity: validity)
    }

    private func average(
        _ index: Int, _ groups: UnsafePointer<Int32>, _ count: Int, _ counts: CountAccumulator, _ type: SQLType, _ fault: (RowFault) -> Void,
        _ total: (Int) -> Datum?
    ) -> Vector {
        var dividends = VectorWriter(type, count: count, pool: pool)
        var divisors = VectorWriter(type == .interval ? .float8 : .numeric, count: count, pool: pool)
        for place in 0..<count {
            let group = Int(groups[place])
            if counts[group] > 0, let total = total(group) {
                dividends.store(place, total)
                divisors.store(place, type == .interval ? .float(Double(counts[group])) : .numeric(Numeric(counts[group])))
            } else {
                dividends.setNull(place)
                divisors.setNull(place)
                if counts[group] > 0 { fault(RowFault("22003", "value has more than the 38 digits that a numeric holds here")) }
            }
        }
        let errors = RowErrors()
        var results: [Vector] = []
        divide[index]!.run([dividends.finish(), divisors.finish()], count: count, .all(count), into: &results, errors: errors)
        for error in errors.list { fault(error.fault) }
        return results[0]
    }
}

extension AggregatePlan.Call {
    /// Repeats of a value are one; for the others of its functions they change nothing.
    fileprivate var countsDistinct: Bool { isDistinct && (function == .count || function == .sum || function == .avg) }
}
