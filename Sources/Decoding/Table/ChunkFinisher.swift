// From slots to a chunk: what is done once for all rows, after the last record of a chunk was read.
//
//   slots -> defaults -> lengths and digits -> generated columns -> NOT NULL of these -> event time -> keys -> rows that stay
//
// Defaults were computed when the decoder was made: they depend on no column. Whatever fails here is noted with its row, as it is while records
// are read. Rows that are dropped, or that delete, are taken out (or emptied) at the very end, so that every step sees rows by one number.

import Dataflow
import SQLBinding
import Values

final class ChunkFinisher {
    private let plan: DecodingPlan
    private let pool: BufferPool
    private let nothing: [Vector]
    private let fits: [(column: Int, program: Program)]
    private let generated: [(DecodingPlan.Generated, Program)]
    private let differ: [(column: Int, program: Program)]
    private let errors = RowErrors()
    private var results: [Vector] = []

    init(_ plan: DecodingPlan, context: EvaluationContext, pool: BufferPool) throws(DecodingError) {
        self.plan = plan
        self.pool = pool
        let columns = plan.table.columns
        nothing = columns.map { Vector.constant(.null, $0.type, pool: pool) }
        var fits: [(column: Int, program: Program)] = []
        for slot in plan.slots where slot.conversion != .presence && columns[slot.column].modifier != .none {
            let column = columns[slot.column]
            do {
                let fit = try ExpressionBuilder(context: context).assign(.column(slot.column, column.type), to: column.type, modifier: column.modifier, at: 0)
                fits.append((slot.column, Program([fit], context: context, pool: pool)))
            } catch {
                throw DecodingError("column \(column.name) of table \(plan.table.name) cannot be filled", why: "\(error.what): \(error.why)", now: error.now)
            }
        }
        self.fits = fits
        generated = plan.generated.map { ($0, Program([$0.expression], context: context, pool: pool)) }
        differ =
            plan.isUpsert
            ? plan.table.key.map { ($0, Program([.distinct(.column(0, columns[$0].type), .column(1, columns[$0].type))], context: context, pool: pool)) } : []
    }

    /// What was read, by row.
    struct Rows {
        let run: SourceRun
        let count: Int
        /// The record of each row.
        let records: Buffer
        /// Empty where all are put.
        var fates: [UInt8]
        /// By column, out of the slots of values.
        let values: [Int: Vector]
        /// By place in the key, out of the slots of keys.
        let keys: [Vector]
        /// Rows whose value lacks a column of the key, by column.
        let keyless: [Int: [Int32]]
        /// Rows in which something failed that a generated event time is made of.
        let timeless: [Int32]
        var problems: [RowProblem]

        var numbers: UnsafePointer<Int32> { UnsafePointer(records.base.assumingMemoryBound(to: Int32.self)) }

        func isDelete(_ row: Int) -> Bool { !fates.isEmpty && fates[row] == RowFate.delete }

        mutating func note(_ row: Int, _ reason: RowRejectReason, _ column: Int?, _ fault: RowFault, _ value: [UInt8] = []) {
            problems.append(RowProblem(record: numbers[row], row: Int32(row), reason: reason, column: column, fault: fault, value: value))
        }
    }

    /// - Parameters:
    ///   - latest: the last event time that is not too far ahead.
    ///   - newest: the greatest event time so far.
    func finish(_ rows: inout Rows, latest: Int64, newest: inout Int64?, counts: inout DecodeCounts) -> DecodedChunk? {
        var columns = nothing
        for (column, vector) in rows.values { columns[column] = vector }
        fit(&columns, &rows, ofKey: false, &counts)
        // The value's key, before the record's own takes its place.
        let written = plan.isUpsert ? plan.table.key.map { columns[$0] } : []
        for (place, column) in plan.table.key.enumerated() where plan.isUpsert { columns[column] = rows.keys[place] }
        if plan.isUpsert { fit(&columns, &rows, ofKey: true, &counts) }
        generate(&columns, &rows, &counts)
        if let time = plan.eventTime { judge(columns[time], time, &rows, latest, &newest) }
        for (place, (column, program)) in differ.enumerated() { compare(written[place], columns[column], column, program, &rows) }
        return chunk(columns, &rows, &counts)
    }

    // MARK: steps

    /// Lengths and digits, as INSERT brings values to what their columns say. A failed row is NULL by now, and no fit looks at NULL.
    private func fit(_ columns: inout [Vector], _ rows: inout Rows, ofKey: Bool, _ counts: inout DecodeCounts) {
        for (column, program) in fits where !ofKey || plan.table.key.contains(column) {
            let rule = plan.slots.first { $0.column == column }!.rule
            errors.removeAll()
            program.run(columns, count: rows.count, .all(rows.count), into: &results, errors: errors)
            for error in errors.firstOfEachRow {
                let value = shown(columns[column], error.row)
                if ofKey {
                    rows.note(error.row, .keyUndecodable, column, error.fault, value)
                } else if rule.isNulled {
                    counts.nulled[column, default: 0] += 1
                } else if !rule.isLenient {
                    rows.note(error.row, .undecodable, column, error.fault, value)
                }
            }
            columns[column] = results[0]
        }
    }

    private func shown(_ vector: Vector, _ row: Int) -> [UInt8] {
        Array((TypeText.text(vector.datum(row), as: vector.type) ?? "").utf8.prefix(RecordLimits.shownBytes))
    }

    /// Rows with values, but for those in which one of some columns failed.
    private func rowsWithValues(_ rows: Rows, without columns: Set<Int> = []) -> (Buffer, Selection)? {
        if rows.problems.isEmpty && !rows.fates.contains(RowFate.delete) { return nil }
        var isOut = (0..<rows.count).map { rows.isDelete($0) }
        for problem in rows.problems where problem.row >= 0 && problem.column.map({ columns.contains($0) }) ?? false { isOut[Int(problem.row)] = true }
        let memory = pool.take(max(rows.count, 1) * 4)
        let list = memory.base.assumingMemoryBound(to: Int32.self)
        var count = 0
        for row in 0..<rows.count where !isOut[row] {
            list[count] = Int32(row)
            count += 1
        }
        return (memory, Selection(rows: UnsafePointer(list), count: count))
    }

    private func generate(_ columns: inout [Vector], _ rows: inout Rows, _ counts: inout DecodeCounts) {
        for (generated, program) in generated {
            let column = generated.column
            let kept = rowsWithValues(rows, without: generated.expression.columns)
            let selection = kept?.1 ?? .all(rows.count)
            errors.removeAll()
            program.run(columns, count: rows.count, selection, into: &results, errors: errors)
            var vector = results[0]
            let definition = plan.table.columns[column]
            if plan.policy == .null {
                // The smallest call that failed is NULL, and evaluation went on around it.
                if !generated.isLenient && !errors.list.isEmpty { counts.nulled[column, default: 0] += errors.list.count }
            } else if !errors.list.isEmpty {
                let failed = errors.firstOfEachRow
                vector = Self.nulling(vector, failed.map(\.row), count: rows.count, pool)
                if !generated.isLenient { for error in failed { rows.note(error.row, .undecodable, column, error.fault) } }
            }
            let view = vector.view
            if definition.isNotNull {
                var nulls: [Int] = []
                selection.forEach { row in if view.isNull(row) { nulls.append(row) } }
                for row in nulls { rows.note(row, .null, column, .null(definition.name)) }
            }
            // Where it was not computed there is none.
            columns[column] = kept == nil ? vector : Self.nulling(vector, (0..<rows.count).filter(complement(selection, rows.count)), count: rows.count, pool)
            withExtendedLifetime((kept, vector)) {}
        }
    }

    private func complement(_ selection: Selection, _ count: Int) -> (Int) -> Bool {
        var isIn = [Bool](repeating: false, count: count)
        selection.forEach { isIn[$0] = true }
        return { !isIn[$0] }
    }

    private func judge(_ times: Vector, _ column: Int, _ rows: inout Rows, _ latest: Int64, _ newest: inout Int64?) {
        let view = times.view
        var greatest = Int64.min
        if times.form == .flat && times.validity == nil && rows.timeless.isEmpty && rows.fates.isEmpty {
            for row in 0..<rows.count { greatest = max(greatest, view.word(row)) }
            if greatest <= latest {
                if rows.count > 0 { newest = max(newest ?? greatest, greatest) }
                return
            }
            greatest = .min
        }
        var ahead: [Int] = []
        var nulls: [Int] = []
        let isTimeless = Set(rows.timeless)
        for row in 0..<rows.count {
            if view.isNull(row) {
                nulls.append(row)
                continue
            }
            let time = view.word(row)
            if time > greatest || time > latest {
                if !isTimeless.isEmpty && isTimeless.contains(Int32(row)) { continue }
                if time > latest { ahead.append(row) } else { greatest = time }
            }
        }
        if greatest != .min { newest = max(newest ?? greatest, greatest) }
        for row in ahead where !rows.isDelete(row) { rows.note(row, .tooFarAhead, column, .tooFarAhead, shown(times, row)) }
        if plan.usesEventTime { for row in nulls where !rows.isDelete(row) { rows.note(row, .nullEventTime, column, .nullEventTime) } }
        withExtendedLifetime(times) {}
    }

    /// Keys that are not the ones of their values.
    private func compare(_ written: Vector, _ key: Vector, _ column: Int, _ program: Program, _ rows: inout Rows) {
        let without = Set(rows.keyless[column] ?? [])
        if without.count == rows.count { return }
        let failed = Set(rows.problems.filter { $0.column == column && $0.reason == .undecodable }.map(\.row))
        let memory = pool.take(max(rows.count, 1) * 4)
        let list = memory.base.assumingMemoryBound(to: Int32.self)
        var count = 0
        for row in 0..<rows.count where rows.fates[row] == RowFate.put && !without.contains(Int32(row)) && !failed.contains(Int32(row)) {
            list[count] = Int32(row)
            count += 1
        }
        errors.removeAll()
        let kept = program.filter([written, key], count: rows.count, Selection(rows: UnsafePointer(list), count: count), errors: errors)
        var different: [Int] = []
        kept.selection.forEach { different.append($0) }
        withExtendedLifetime((kept, memory)) {}
        for row in different { rows.note(row, .keyDiffers, column, .keyDiffers, shown(written, row)) }
    }

    // MARK: the chunk

    private func chunk(_ columns: [Vector], _ rows: inout Rows, _ counts: inout DecodeCounts) -> DecodedChunk? {
        if rows.fates.isEmpty && rows.problems.contains(where: { $0.row >= 0 }) { rows.fates = Array(repeating: RowFate.put, count: rows.count) }
        for problem in rows.problems where problem.row >= 0 {
            let row = Int(problem.row)
            if problem.isOfKey || !plan.isUpsert { rows.fates[row] = RowFate.drop } else if rows.fates[row] == RowFate.put { rows.fates[row] = RowFate.delete }
        }
        let source = RecordColumns(run: rows.run, records: rows.numbers, count: rows.count, pool: pool)
        let declared = plan.table.columns.count
        let readable = plan.table.readable
        let deletes = rows.fates.isEmpty ? [] : rows.fates.indices.filter { rows.fates[$0] == RowFate.delete }
        let vectors = plan.asked.map { number in
            if number >= declared { return source.vector(readable[number].name) }
            if deletes.isEmpty || plan.table.key.contains(number) { return columns[number] }
            return Self.nulling(columns[number], deletes, count: rows.count, pool)
        }
        var weights: Buffer?
        if plan.isUpsert {
            weights = pool.take(max(rows.count, 1) * 8)
            let words = weights!.base.assumingMemoryBound(to: Int64.self)
            for row in 0..<rows.count { words[row] = rows.isDelete(row) ? -1 : 1 }
        }
        let whole = Chunk(columns: vectors, count: rows.count, weights: weights)
        counts.deletes += deletes.count
        guard rows.fates.contains(RowFate.drop) else {
            counts.rows += rows.count
            return rows.count == 0 ? nil : DecodedChunk(chunk: whole, records: rows.records)
        }
        let kept = rows.fates.indices.filter { rows.fates[$0] != RowFate.drop }.map { Int32($0) }
        if kept.isEmpty { return nil }
        counts.rows += kept.count
        let records = pool.take(kept.count * 4)
        let numbers = records.base.assumingMemoryBound(to: Int32.self)
        for (place, row) in kept.enumerated() { numbers[place] = rows.numbers[Int(row)] }
        return DecodedChunk(chunk: kept.withUnsafeBufferPointer { whole.rows($0.baseAddress!, count: $0.count, pool: pool) }, records: records)
    }

    /// The vector with NULL in some rows.
    static func nulling(_ vector: Vector, _ rows: [Int], count: Int, _ pool: BufferPool) -> Vector {
        if rows.isEmpty { return vector }
        guard vector.form == .flat else {
            let isNull = Set(rows)
            return Vector.flat((0..<count).map { isNull.contains($0) ? .null : vector.datum($0) }, vector.type, pool: pool)
        }
        let words = max((count + 63) / 64, 1)
        let validity = pool.take(words * 8)
        let bits = validity.base.assumingMemoryBound(to: UInt64.self)
        if let old = vector.validity { bits.update(from: old.base.assumingMemoryBound(to: UInt64.self), count: words) } else { bits.update(repeating: .max, count: words) }
        for row in rows { Bitmap.clear(bits, row) }
        return Vector(vector.type, count: vector.count, values: vector.values, extra: vector.extra, validity: validity, children: vector.children)
    }
}
