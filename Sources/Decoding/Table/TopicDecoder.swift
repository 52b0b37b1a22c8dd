// Records of a topic become chunks of a declared table. Here is what a shell that has fetched records calls.
//
//     let decoder = try TopicDecoder(table, columns: source.columns, usesEventTime: true, onError: .quarantine, context: context)
//     let outcome = try decoder.decode(run, batchTime: micros) { decoded in feed(decoded.chunk) }
//     outcome.newestEventMicros, outcome.counts, outcome.rejected
//
// What decides which fields are looked at is `DecodingPlan`; the row loops are the readers' (`JSONReader`, `AvroReader`), the slots they write
// to are `ValueSlot`, what is done once a chunk is `ChunkFinisher`. A decoder belongs to one thread and remembers nothing from one run to the
// next but how the last record looked: the same records give the same rows, wherever runs are cut.
//
// Nothing here stops at a bad record but `on_error = 'stop'`. Checklist when changing the loop: a record is either in a chunk, or rejected once,
// or both where an upsert's value fails and its key is deleted; every byte of a record is read before `decode` returns.

import Dataflow
import SQLBinding
import Values

package final class TopicDecoder {
    private enum Reader {
        case json(JSONReader)
        case avro(AvroReader)
        case raw(RawReader)
    }

    private let plan: DecodingPlan
    private let pool: BufferPool
    private let chunkRows: Int
    private let maxFutureMicros: Int64?
    private let table: SlotTable
    private let reader: Reader
    private let keys: KeyReading?
    private let finisher: ChunkFinisher
    /// By slot.
    private let rules: UnsafeMutablePointer<SlotRule>
    private let defaults: [Vector?]
    private let defaultFaults: [RowFault?]
    private var stamp: UInt64 = 0

    // Of the chunk that is being made.
    private var keyless: [[Int32]]
    private var timeless: [Int32] = []
    private var problems: [RowProblem] = []
    private var fates: [UInt8] = []
    private var counts = DecodeCounts()

    /// - Parameters:
    ///   - columns: what the plan reads, by number among `table.readable` (`PlanSource.columns`).
    ///   - usesEventTime: whether some query of the table goes by its event time: NULL is rejected then.
    ///   - onError: the job's; the table's own option goes before it.
    ///   - maxFutureMicros: the job's; the same.
    ///   - schemas: what Avro records are written with; `keySchemas` the same for keys.
    ///   - chunkRows: no chunk is longer.
    package init(
        _ table: TableDefinition, columns: [Int], usesEventTime: Bool = false, onError: FaultPolicy = .quarantine, maxFutureMicros: Int64? = nil,
        schemas: [AvroWriterSchema] = [], keySchemas: [AvroWriterSchema] = [], context: EvaluationContext = EvaluationContext(), chunkRows: Int = 4096,
        pool: BufferPool = BufferPool()
    ) throws(DecodingError) {
        precondition(chunkRows > 0, "chunks of \(chunkRows) rows")
        let policy = table.options[.onError].flatMap { FaultPolicy(rawValue: $0) } ?? onError
        let plan = try DecodingPlan(table, columns: columns, usesEventTime: usesEventTime, policy: policy)
        self.plan = plan
        self.pool = pool
        self.chunkRows = chunkRows
        self.maxFutureMicros = table.options[.maxFuture].flatMap { durationMicros($0) } ?? maxFutureMicros
        let unit = table.options[.timeUnit].flatMap { TimeUnit(rawValue: $0) } ?? .millis
        let times = TimeReading(zone: context.zone, unit: unit)
        let slots = SlotTable(plan.slots.map { table.columns[$0.column].type }, plan.slots.map(\.conversion), pool: pool)
        self.table = slots
        let names = plan.slots.map { table.columns[$0.column].name }
        switch table.options[.format] {
        case "raw": reader = .raw(RawReader(slots))
        case "avro":
            reader = .avro(
                try AvroReader(
                    slots, names: names, optional: plan.slots.map { table.columns[$0.column].defaultValue != nil || $0.rule.isKey }, of: table.name,
                    writers: schemas, times: times, pool: pool))
        default: reader = .json(JSONReader(slots, names: names, times: times, pool: pool))
        }
        keys = plan.isUpsert ? try KeyReading(of: table, keySchemas, times, pool) : nil
        finisher = try ChunkFinisher(plan, context: context, pool: pool)

        rules = .allocate(capacity: max(plan.slots.count, 1))
        var defaults: [Vector?] = []
        var faults: [RowFault?] = []
        for (index, slot) in plan.slots.enumerated() {
            var rule = slot.rule
            var (value, fault): (Vector?, RowFault?) = (nil, nil)
            if let expression = table.columns[slot.column].defaultValue, !rule.isKey {
                (value, fault) = Self.computed(expression, context, pool)
                rule.whenMissing = fault != nil ? .fails : value!.view.isNull(0) ? .null : .value
            }
            rule.isPlain = rule.whenMissing == .none && !rule.isNotNull && !rule.isKey
            (rules + index).initialize(to: rule)
            defaults.append(value)
            faults.append(fault)
        }
        self.defaults = defaults
        defaultFaults = faults
        keyless = Array(repeating: [], count: plan.slots.count)
        for (index, slot) in plan.slots.enumerated() { slots.hasDefault[index] = rules[index].whenMissing == .value && slot.conversion != .presence }
    }

    deinit { rules.deallocate() }

    private static func computed(_ expression: BoundExpression, _ context: EvaluationContext, _ pool: BufferPool) -> (Vector, RowFault?) {
        let errors = RowErrors()
        var results: [Vector] = []
        Program([expression], context: context, pool: pool).run([], count: 1, .all(1), into: &results, errors: errors)
        return (Vector.flat([results[0].datum(0)], expression.type, pool: pool), errors.firstOfEachRow.first?.fault)
    }

    /// Decodes some records of one partition.
    ///
    /// - Parameters:
    ///   - batchTime: in microseconds since 1970; event times further ahead of it than `max_future` are rejected.
    ///   - emit: takes the chunks, in the order of their records.
    /// - Throws: `DecodeStop` under `on_error = 'stop'`, and what `emit` throws.
    package func decode(_ run: SourceRun, batchTime: Int64, emit: (DecodedChunk) throws -> Void) throws -> DecodeOutcome {
        var outcome = DecodeOutcome()
        let (sum, isOver) = batchTime.addingReportingOverflow(maxFutureMicros ?? .max)
        let latest = maxFutureMicros == nil ? Int64.max : isOver ? (batchTime < 0 ? .min : .max) : sum
        var next = 0
        while next < run.records.count {
            var rows = read(run, &next)
            let chunk = finisher.finish(&rows, latest: latest, newest: &outcome.newestEventMicros, counts: &counts)
            try settle(rows, run, &outcome)
            if let chunk { try emit(chunk) }
        }
        return outcome
    }

    /// Adds what a chunk met.
    private func settle(_ rows: ChunkFinisher.Rows, _ run: SourceRun, _ outcome: inout DecodeOutcome) throws(DecodeStop) {
        if !rows.problems.isEmpty {
            var first: [Int32: RowProblem] = [:]
            for problem in rows.problems {
                if let known = first[problem.record], known.isOfKey || !problem.isOfKey { continue }
                first[problem.record] = problem
            }
            for problem in first.values.sorted(by: { $0.record < $1.record }) {
                let rejected = RejectedRow(
                    record: Int(problem.record), offset: run.records[Int(problem.record)].offset, reason: problem.reason, column: problem.column, fault: problem.fault,
                    value: problem.value)
                if plan.policy == .stop && problem.reason != .tombstone {
                    counts = DecodeCounts()
                    throw DecodeStop(topic: run.topic, partition: run.partition, rejected: rejected, column: problem.column.map { plan.table.columns[$0].name })
                }
                counts.note(problem.reason)
                outcome.rejected.append(rejected)
            }
        }
        outcome.counts.add(counts)
        counts = DecodeCounts()
    }

    // MARK: the loop

    /// Reads records from `next` on until the chunk is full.
    private func read(_ run: SourceRun, _ next: inout Int) -> ChunkFinisher.Rows {
        let room = min(chunkRows, run.records.count - next)
        let records = pool.take(max(room, 1) * 4)
        table.open(rows: room)
        keys?.table.open(rows: room)
        problems.removeAll(keepingCapacity: true)
        timeless.removeAll(keepingCapacity: true)
        fates.removeAll(keepingCapacity: true)
        for index in keyless.indices { keyless[index].removeAll(keepingCapacity: true) }
        let numbers = records.base.assumingMemoryBound(to: Int32.self)
        let count =
            switch reader {
            case .json(let reader): read(run.records, &next, room, reader, numbers)
            case .avro(let reader): read(run.records, &next, room, reader, numbers)
            case .raw(let reader): read(run.records, &next, room, reader, numbers)
            }
        for index in plan.slots.indices where table.hasDefault[index] { table.fill(index, with: defaults[index]!) }
        var values: [Int: Vector] = [:]
        for (index, vector) in table.close(rows: count).enumerated() where vector != nil { values[plan.slots[index].column] = vector }
        var lacking: [Int: [Int32]] = [:]
        for index in keyless.indices where !keyless[index].isEmpty { lacking[plan.slots[index].column] = keyless[index] }
        return ChunkFinisher.Rows(
            run: run, count: count, records: records, fates: fates, values: values, keys: keys?.table.close(rows: count).map { $0! } ?? [], keyless: lacking,
            timeless: timeless, problems: problems)
    }

    private func read<R: ValueReader>(
        _ records: UnsafeBufferPointer<SourceRecord>, _ next: inout Int, _ room: Int, _ reader: R, _ numbers: UnsafeMutablePointer<Int32>
    ) -> Int {
        if let keys { return readUpserts(records, &next, room, reader, keys, numbers) }
        let (slots, slotCount) = (table.slots, table.count)
        var (row, size) = (0, 0)
        // Nothing of ours is read or written for a record that is as it should be.
        var stamp = stamp
        defer { self.stamp = stamp }
        while next < records.count && row < room && !table.isFull {
            let record = records[next]
            guard let value = record.value else {
                reject(next, .tombstone, .tombstone, nil, 0)
                next += 1
                continue
            }
            let count = Int(record.valueCount)
            if size + count > RecordLimits.chunkBytes && row > 0 { break }
            size += count
            stamp &+= Found.step
            if count <= RecordLimits.recordBytes, reader.read(value, count, row: row, stamp: stamp) {
                let wanted = stamp | Found.value
                for index in 0..<slotCount where slots[index].mark != wanted { settle(index, row, next, stamp) }
                numbers[row] = Int32(truncatingIfNeeded: next)
                row &+= 1
            } else {
                reject(next, .undecodable, count > RecordLimits.recordBytes ? .tooLarge : reader.fault(value, count), value, count)
            }
            next += 1
        }
        return row
    }

    /// The same of a table whose records put and delete: each has a row, unless it has neither a key nor a value.
    private func readUpserts<R: ValueReader>(
        _ records: UnsafeBufferPointer<SourceRecord>, _ next: inout Int, _ room: Int, _ reader: R, _ keys: KeyReading, _ numbers: UnsafeMutablePointer<Int32>
    ) -> Int {
        let (slots, slotCount) = (table.slots, table.count)
        var (row, size) = (0, 0)
        while next < records.count && row < room && !table.isFull && !keys.table.isFull {
            let record = records[next]
            let (count, keyCount) = (Int(record.valueCount), Int(record.keyCount))
            if size + count + keyCount > RecordLimits.chunkBytes && row > 0 { break }
            size += count + keyCount
            stamp &+= Found.step
            numbers[row] = Int32(truncatingIfNeeded: next)
            var fate = RowFate.put
            if let key = record.key {
                if let (reason, fault, place) = keys.read(key, keyCount, row: row, stamp: stamp) {
                    reject(next, reason, fault, key, keyCount, row: row, column: place.map { plan.table.key[$0] })
                    keys.setNull(row)
                    fate = RowFate.drop
                }
            } else {
                reject(next, .keyMissing, .noKey, record.value, count, row: row)
                keys.setNull(row)
                fate = RowFate.drop
            }
            if let value = record.value, count <= RecordLimits.recordBytes, reader.read(value, count, row: row, stamp: stamp) {
                let wanted = stamp | Found.value
                for index in 0..<slotCount where slots[index].mark != wanted { settle(index, row, next, stamp) }
            } else {
                if let value = record.value {
                    reject(next, .undecodable, count > RecordLimits.recordBytes ? .tooLarge : reader.fault(value, count), value, count, row: row)
                }
                for index in 0..<slotCount { table.setNull(index, row) }
                // It has no values: a row of no key is dropped later, whatever it says here.
                fate = RowFate.delete
            }
            fates.append(fate)
            row &+= 1
            next += 1
        }
        return row
    }

    @inline(never)
    private func reject(
        _ record: Int, _ reason: RowRejectReason, _ fault: RowFault, _ start: Place?, _ count: Int, row: Int = -1, column: Int? = nil
    ) {
        problems.append(
            RowProblem(record: Int32(record), row: Int32(row), reason: reason, column: column, fault: fault, value: RowProblem.shown(start, count)))
    }

    /// A slot for which the record has no value: there is none, it is NULL, or it failed.
    @inline(never)
    private func settle(_ index: Int, _ row: Int, _ record: Int, _ stamp: UInt64) {
        let mark = table.slots[index].mark
        let rule = rules[index]
        if rule.isPlain && mark != stamp | Found.failed { return table.setNull(index, row) }
        if mark == stamp | Found.failed {
            table.setNull(index, row)
            if rule.isTimePart && !rule.isNulled { timeless.append(Int32(row)) }
            if rule.isLenient { return }
            let column = plan.slots[index].column
            if rule.isNulled {
                counts.nulled[column, default: 0] += 1
            } else {
                problems.append(
                    RowProblem(
                        record: Int32(record), row: Int32(row), reason: .undecodable, column: column, fault: table.faults[index]!,
                        value: RowProblem.shown(table.failedAt[index])))
            }
            return
        }
        let isMissing = mark != stamp | Found.null
        if isMissing && rule.whenMissing == .value {
            table.noteMissing(index, row)
            return
        }
        table.setNull(index, row)
        if isMissing && rule.isKey { keyless[index].append(Int32(row)) }
        if isMissing && rule.whenMissing == .fails {
            if rule.isNulled {
                counts.nulled[plan.slots[index].column, default: 0] += 1
            } else if !rule.isLenient || rule.isNotNull {
                problems.append(
                    RowProblem(record: Int32(record), row: Int32(row), reason: .undecodable, column: plan.slots[index].column, fault: defaultFaults[index]!, value: []))
            }
            return
        }
        if rule.isNotNull {
            let column = plan.slots[index].column
            problems.append(
                RowProblem(record: Int32(record), row: Int32(row), reason: .null, column: column, fault: .null(plan.table.columns[column].name), value: []))
        }
    }
}
