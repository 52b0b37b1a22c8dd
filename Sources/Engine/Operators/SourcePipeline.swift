// Stage 0 of a task: from decoded columns to blocks for the parts after the exchange, or to sink rows.
//
//   chunk -> future rows out -> filters -> late rows out -> look up -> compute -> no key out -> group  -> finish: blocks
//                                                                             \-> project, copy   -> finish: output
//
// Decides which rows count as rejected (event time too far ahead of the batch, a key that no table could hold), late,
// unmatched, and which part gets a key. Does not decode, knows no offsets but those it is given, writes nothing: all it makes is in `SourceResult`, a pure
// function of plan, range and lookups, however the range is cut into chunks.
//
// Memory is bounded by the chunk and by the groups: beyond `PartialGroups.maxBytes` the partial groups go to the blocks and grouping
// starts again; the merge does not care how often a key comes.
//
// Cost: 2 ns a row for a comparison with a text, 26 to 36 ns for each row that passes when it is looked up by a text of 36
// bytes and grouped by what was found, 13 ns when it is grouped by a number (`filtering, looking up, grouping and merging`,
// a test that runs with `SLUICE_BENCH=1`).
//
// When changing this: the result must not depend on chunk sizes (the oracle test varies them), and whatever reads a
// clock or a random number must take it from `TaskContext`.

/// What a task may know of its batch.
package struct TaskContext: Sendable {
    package var batchTimeMillis: Int64
    package var watermarkBeforeMillis: Int64?
    package var maxFutureMillis: Int64
    package var seed: UInt64
    package var topic: String
    package var partition: Int32
    /// For a backfill: rows with other event times do not exist.
    package var eventTimes: Range<Int64>?

    package init(
        batchTimeMillis: Int64, watermarkBeforeMillis: Int64?, maxFutureMillis: Int64, seed: UInt64, topic: String,
        partition: Int32, eventTimes: Range<Int64>? = nil
    ) {
        self.batchTimeMillis = batchTimeMillis
        self.watermarkBeforeMillis = watermarkBeforeMillis
        self.maxFutureMillis = maxFutureMillis
        self.seed = seed
        self.topic = topic
        self.partition = partition
        self.eventTimes = eventTimes
    }
}

/// What stage 0 made of a range.
package struct SourceResult: Sendable {
    /// With an exchange: one for each part, nil where no key belongs to it.
    package var blocks: [Chunk?] = []
    /// Without an exchange: rows for the sink, in the order of the records.
    package var output: [Chunk] = []
    /// Decoded rows, without those that were rejected here.
    package var rowsIn = 0
    /// Rows with an event time too far ahead of the batch: rejected.
    package var futureRows = 0
    /// Rows whose key has a part that is NULL or not a finite number: rejected.
    package var keylessRows = 0
    package var late = 0
    package var unmatched = 0
    /// Offsets of late rows, ascending, where `process` was given offsets and nobody took them.
    package var lateOffsets: [Int64] = []
    /// Over all rows that were not rejected, those without a key included: their time was right.
    package var maxEventTimeMillis: Int64?
    /// More came of the range than a block can hold; nothing else of this result is whole.
    package var failure: Failure?
}

package final class SourcePipeline {
    private let graph: StageGraph
    private let context: TaskContext
    private let lookups: [LookupTable]
    private let frame: Frame
    private let scratch = Scratch()
    private let partial: PartialGroups?
    private var result = SourceResult()
    private let latestEventTimeMillis: Int64

    /// - Parameter lookups: by name; must hold every lookup of the graph.
    package init(
        graph: StageGraph, context: TaskContext, lookups: [String: LookupTable], keyGroups: Int, parts: Int
    ) {
        self.graph = graph
        self.context = context
        self.lookups = graph.lookups.map { spec in
            guard let table = lookups[spec.name] else { preconditionFailure("the lookup \(spec.name) was not loaded") }
            return table
        }
        frame = Frame(slotCount: graph.slotCount)
        partial = graph.grouping.map { PartialGroups($0, keyGroups: keyGroups, parts: parts) }
        latestEventTimeMillis = context.batchTimeMillis.plus(context.maxFutureMillis)
    }

    /// Takes one chunk of decoded rows.
    /// - Parameters:
    ///   - columns: as `source.neededSchema` says; read during the call only.
    ///   - offsets: the offset of each row.
    ///   - reject: called with each row that is rejected here.
    package func process(
        columns: [Column], rowCount: Int, offsets: UnsafePointer<Int64>?,
        reject: (Int, RejectReason) throws -> Void
    ) rethrows {
        if rowCount == 0 { return }
        precondition(columns.count == graph.decoderSlots.count)
        scratch.reserve(rowCount)
        frame.start(rowCount: rowCount)
        for (slot, column) in zip(graph.decoderSlots, columns) { frame.set(slot, column) }
        setCoordinates(rowCount, offsets)

        var rows = SelectedRows(count: rowCount)
        if let slot = graph.eventTimeSlot {
            rows = try acceptTimes(frame.column(slot), rows, reject)
            if let span = context.eventTimes { rows = within(span, frame.column(slot), rows) }
        }
        result.rowsIn += rows.count
        for step in graph.steps {
            if rows.count == 0 { return }
            rows = run(step, rows, offsets)
        }
        if rows.count == 0 { return }
        if graph.grouping == nil {
            for step in graph.projection.steps { frame.set(step.slot, step.expression.evaluate(frame, rows)) }
        }
        for slot in graph.doubtfulKeySlots {
            rows = try acceptKeys(frame.column(slot), rows, reject)
            if rows.count == 0 { return }
        }
        if let partial {
            partial.add(frame, rows, scratch)
        } else {
            append(rows)
        }
    }

    /// The same for a caller that keeps no rejected rows.
    package func process(columns: [Column], rowCount: Int, offsets: UnsafePointer<Int64>?) {
        process(columns: columns, rowCount: rowCount, offsets: offsets) { _, _ in }
    }

    /// The offsets of late rows since the last call: whoever keeps ranges need not keep each offset.
    package func takeLateOffsets() -> [Int64] {
        if result.lateOffsets.isEmpty { return [] }
        defer { result.lateOffsets.removeAll(keepingCapacity: true) }
        return result.lateOffsets
    }

    /// The event time of a row of the chunk that is being processed.
    package func eventTimeMillis(_ row: Int) -> Int64? {
        graph.eventTimeSlot.map { Kernels.int(frame.column($0)).values[row] }
    }

    /// Ends the range; the pipeline is used up.
    package func finish() -> SourceResult {
        if let partial {
            result.blocks = partial.finish(schema: graph.accumulatorSchema)
            if let bytes = partial.refusedBytes {
                result.failure = Failure(
                    .limitExceeded, "a batch of job \(graph.job) has more keys than one block can hold",
                    why: "those of one part take \(formatSize(Int64(bytes))), and a block holds \(formatSize(Int64(Limits.blockBytes)))",
                    now: "set max_batch_records lower; a batch that is planned already needs --offsets or a key that is shorter")
            }
        }
        return result
    }

    // MARK: steps

    private func run(_ step: SourceStep, _ rows: SelectedRows, _ offsets: UnsafePointer<Int64>?) -> SelectedRows {
        let kept = scratch.rows
        switch step {
        case .filter(let condition, _):
            return SelectedRows(kept, count: condition.filter(frame, rows, kept: kept))
        case .compute(let expression, let slot, _):
            frame.set(slot, expression.evaluate(frame, rows))
            return rows
        case .dropLate(let slot, let lengthMillis):
            guard let watermark = context.watermarkBeforeMillis else { return rows }
            // A window [start, start + length) is closed when start + length <= watermark, that is when its rows are
            // older than the start of the window that the watermark is in.
            let open = Kernels.windowStart(watermark, lengthMillis)
            return dropLate(Kernels.int(frame.column(slot)), before: open, rows, offsets)
        case .join(let lookup, let keySlot, let values):
            guard case .text(let keys) = frame.column(keySlot) else { preconditionFailure("a lookup key is not text") }
            let count = lookups[lookup].match(keys, rows, scratch: scratch, codes: scratch.codes, kept: kept)
            result.unmatched += rows.count - count
            let matched = SelectedRows(kept, count: count)
            for (column, slot) in values {
                frame.set(
                    slot,
                    lookups[lookup].values(column, matched, codes: scratch.codes, rowCount: frame.rowCount))
            }
            return matched
        }
    }

    /// Rejects rows too far ahead and notes the largest event time of the others.
    private func acceptTimes(
        _ column: Column, _ rows: SelectedRows, _ reject: (Int, RejectReason) throws -> Void
    ) rethrows -> SelectedRows {
        let times = Kernels.int(column).values
        let latest = latestEventTimeMillis
        var largest = Int64.min
        for row in 0..<rows.count { largest = Swift.max(largest, times[row]) }
        if largest <= latest {
            noteEventTime(largest)
            return rows
        }
        let kept = scratch.rows
        var count = 0
        largest = .min
        for row in 0..<rows.count {
            if times[row] > latest {
                result.futureRows += 1
                try reject(row, .futureTime)
            } else {
                largest = Swift.max(largest, times[row])
                kept[count] = Int32(truncatingIfNeeded: row)
                count += 1
            }
        }
        if count > 0 { noteEventTime(largest) }
        return SelectedRows(kept, count: count)
    }

    /// Rejects rows by which no row of a table could be found.
    private func acceptKeys(
        _ column: Column, _ rows: SelectedRows, _ reject: (Int, RejectReason) throws -> Void
    ) rethrows -> SelectedRows {
        let validity = column.validity
        let floats: UnsafeMutablePointer<Double>? = if case .float64(let column) = column { column.values } else { nil }
        if validity == nil && floats == nil { return rows }
        let kept = scratch.rows
        var count = 0
        for position in 0..<rows.count {
            let row = rows.rows.map { Int($0[position]) } ?? position
            if let validity, validity[row] == 0 {
                result.keylessRows += 1
                try reject(row, .nullKey)
            } else if let floats, !floats[row].isFinite {
                result.keylessRows += 1
                try reject(row, .notFiniteKey)
            } else {
                kept[count] = Int32(truncatingIfNeeded: row)
                count += 1
            }
        }
        result.rowsIn -= rows.count - count
        return SelectedRows(kept, count: count)
    }

    private func within(_ span: Range<Int64>, _ column: Column, _ rows: SelectedRows) -> SelectedRows {
        let times = Kernels.int(column).values
        let kept = scratch.rows
        var count = 0
        rows.forEach { _, row in
            if times[row] >= span.lowerBound && times[row] < span.upperBound {
                kept[count] = Int32(truncatingIfNeeded: row)
                count += 1
            }
        }
        return SelectedRows(kept, count: count)
    }

    private func noteEventTime(_ millis: Int64) {
        result.maxEventTimeMillis = Swift.max(result.maxEventTimeMillis ?? millis, millis)
    }

    private func dropLate(
        _ column: FixedColumn<Int64>, before open: Int64, _ rows: SelectedRows, _ offsets: UnsafePointer<Int64>?
    ) -> SelectedRows {
        let times = column.values
        var late = 0
        rows.forEach { _, row in late &+= times[row] < open ? 1 : 0 }
        if late == 0 { return rows }
        let kept = scratch.rows
        var count = 0
        rows.forEach { _, row in
            if times[row] < open {
                if let offsets { result.lateOffsets.append(offsets[row]) }
            } else {
                kept[count] = Int32(truncatingIfNeeded: row)
                count += 1
            }
        }
        result.late += late
        return SelectedRows(kept, count: count)
    }

    private func setCoordinates(_ rowCount: Int, _ offsets: UnsafePointer<Int64>?) {
        for (coordinate, slot) in graph.coordinates {
            switch coordinate {
            case .topic: frame.set(slot, .text(Kernels.repeatedText(context.topic, rowCount)))
            case .partition:
                frame.set(slot, .int64(FixedColumn(rows: rowCount, filler: Int64(context.partition))))
            case .offset:
                guard let offsets else { preconditionFailure("the job uses source_offset and was given no offsets") }
                let column = FixedColumn<Int64>(rows: rowCount, filler: 0)
                column.values.update(from: offsets, count: rowCount)
                frame.set(slot, .int64(column))
            }
        }
    }

    /// Copies the selected rows to the output, in chunks of a few thousand, fewer where they are long.
    private func append(_ rows: SelectedRows) {
        if result.output.last.map({ $0.rowCount >= 4096 || $0.byteCount >= Limits.decodeBytes }) ?? true {
            result.output.append(Chunk(schema: graph.sink.schema))
        }
        let last = result.output.count - 1
        for (slot, target) in zip(graph.projection.outputSlots, result.output[last].columns) {
            target.append(rows, of: frame.column(slot))
        }
        result.output[last].rowCount += rows.count
    }
}
