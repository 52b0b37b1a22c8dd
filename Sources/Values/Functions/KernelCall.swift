// One call of one kernel: over a chunk, never over a row.
//
// A kernel is a closure that gets a call and runs one loop: `{ $0.map { (a: Int64, b: Int64) throws(RowFault) in ... } }`. The
// loops here are inlined into it, so that nothing is called through a pointer per row. Arguments of a strict function are
// never NULL in the selection that it gets: the program has narrowed it. A row for which the body throws becomes NULL, and the
// fault is noted with the row and the place of the call.

/// What one kernel works on.
package struct KernelCall {
    /// One view an argument.
    let arguments: UnsafePointer<VectorView>
    /// The vectors behind them: for lists, whose children a view does not show.
    let vectors: UnsafePointer<Vector>
    let argumentCount: Int
    let selection: Selection
    let context: EvaluationContext
    let pool: BufferPool
    /// Of the call, in the statement's text.
    let position: Int
    var output: VectorWriter
    var errors: RowErrors

    /// A kernel may answer with a vector of its own making (one that shares an argument's memory).
    var answer: Vector?

    mutating func fail(_ row: Int, _ fault: RowFault) {
        output.setNull(row)
        errors.note(RowError(row: row, position: position, fault: fault))
    }

    /// Memory for one row's intermediate bytes, taken once per chunk.
    func scratch() -> ByteBuilder { ByteBuilder(pool) }

    @inline(__always)
    subscript(argument: Int) -> VectorView { arguments[argument] }

    /// A kernel over other types than its line says is a defect of ours: it would read or write beside the vector.
    @inline(__always)
    private func check<A: VectorElement>(_ place: Int, _: A.Type) {
        precondition(A.fits(vectors[place].type), "argument \(place) of a kernel is \(vectors[place].type.name), it reads \(A.self)")
    }

    @inline(__always)
    private func checkResult<R: FixedElement>(_: R.Type) {
        precondition(R.fits(output.type), "a kernel gives \(R.self), its line says \(output.type.name)")
    }

    // MARK: results of fixed width

    @inline(__always)
    mutating func map<A: VectorElement, R: FixedElement>(_ body: (A) throws(RowFault) -> R) {
        check(0, A.self)
        checkResult(R.self)
        let a = arguments[0]
        selection.forEach { row in
            do throws(RowFault) { output.store(row, try body(A.load(a, row))) } catch { fail(row, error) }
        }
    }

    @inline(__always)
    mutating func map<A: VectorElement, B: VectorElement, R: FixedElement>(_ body: (A, B) throws(RowFault) -> R) {
        check(0, A.self)
        check(1, B.self)
        checkResult(R.self)
        let (a, b) = (arguments[0], arguments[1])
        selection.forEach { row in
            do throws(RowFault) { output.store(row, try body(A.load(a, row), B.load(b, row))) } catch { fail(row, error) }
        }
    }

    @inline(__always)
    mutating func map<A: VectorElement, B: VectorElement, C: VectorElement, R: FixedElement>(
        _ body: (A, B, C) throws(RowFault) -> R
    ) {
        check(0, A.self)
        check(1, B.self)
        check(2, C.self)
        checkResult(R.self)
        let (a, b, c) = (arguments[0], arguments[1], arguments[2])
        selection.forEach { row in
            do throws(RowFault) { output.store(row, try body(A.load(a, row), B.load(b, row), C.load(c, row))) } catch { fail(row, error) }
        }
    }

    /// NULL where the body says nil.
    @inline(__always)
    mutating func mapOrNull<A: VectorElement, R: FixedElement>(_ body: (A) throws(RowFault) -> R?) {
        check(0, A.self)
        checkResult(R.self)
        let a = arguments[0]
        selection.forEach { row in
            do throws(RowFault) { if let value = try body(A.load(a, row)) { output.store(row, value) } else { output.setNull(row) } } catch { fail(row, error) }
        }
    }

    @inline(__always)
    mutating func mapOrNull<A: VectorElement, B: VectorElement, R: FixedElement>(_ body: (A, B) throws(RowFault) -> R?) {
        check(0, A.self)
        check(1, B.self)
        checkResult(R.self)
        let (a, b) = (arguments[0], arguments[1])
        selection.forEach { row in
            do throws(RowFault) {
                if let value = try body(A.load(a, row), B.load(b, row)) { output.store(row, value) } else { output.setNull(row) }
            } catch { fail(row, error) }
        }
    }

    /// For kernels that read their arguments by row themselves.
    @inline(__always)
    mutating func forEachRow<R: FixedElement>(_ body: (Int) throws(RowFault) -> R?) {
        checkResult(R.self)
        selection.forEach { row in
            do throws(RowFault) { if let value = try body(row) { output.store(row, value) } else { output.setNull(row) } } catch { fail(row, error) }
        }
    }

    // MARK: results of bytes

    /// The body appends the row's bytes; false makes it NULL.
    @inline(__always)
    mutating func writeEachRow(_ body: (Int, inout ByteBuilder) throws(RowFault) -> Bool) {
        var bytes = output.bytes.take()!
        selection.forEach { row in
            let start = bytes.count
            do throws(RowFault) {
                if try body(row, &bytes) {
                    output.storeSpan(row, Span(start: start, count: bytes.count - start))
                } else {
                    bytes.truncate(to: start)
                    output.setNull(row)
                }
            } catch {
                bytes.truncate(to: start)
                fail(row, error)
            }
        }
        output.bytes = bytes
    }

    @inline(__always)
    mutating func write<A: VectorElement>(_ body: (A, inout ByteBuilder) throws(RowFault) -> Void) {
        check(0, A.self)
        let a = arguments[0]
        writeEachRow { (row, out) throws(RowFault) in
            try body(A.load(a, row), &out)
            return true
        }
    }

    @inline(__always)
    mutating func write<A: VectorElement, B: VectorElement>(_ body: (A, B, inout ByteBuilder) throws(RowFault) -> Void) {
        check(0, A.self)
        check(1, B.self)
        let (a, b) = (arguments[0], arguments[1])
        writeEachRow { (row, out) throws(RowFault) in
            try body(A.load(a, row), B.load(b, row), &out)
            return true
        }
    }

    @inline(__always)
    mutating func write<A: VectorElement, B: VectorElement, C: VectorElement>(
        _ body: (A, B, C, inout ByteBuilder) throws(RowFault) -> Void
    ) {
        check(0, A.self)
        check(1, B.self)
        check(2, C.self)
        let (a, b, c) = (arguments[0], arguments[1], arguments[2])
        writeEachRow { (row, out) throws(RowFault) in
            try body(A.load(a, row), B.load(b, row), C.load(c, row), &out)
            return true
        }
    }

    /// The row's bytes are a part of the first argument's: nothing is copied.
    @inline(__always)
    mutating func slice(_ body: (Int, Bytes) throws(RowFault) -> Range<Int>) {
        let a = arguments[0]
        selection.forEach { row in
            do throws(RowFault) {
                let part = try body(row, a.bytes(row))
                output.storeSpan(row, Span(start: Int(a.span(row).start) + part.lowerBound, count: part.count))
            } catch { fail(row, error) }
        }
        answer = output.finish(sharing: vectors[0].extra!)
    }
}

/// The faults of one chunk, in the order in which they were reached.
public final class RowErrors {
    public private(set) var list: [RowError] = []

    public init() {}

    func note(_ error: RowError) { list.append(error) }

    /// Forgets all; before the next chunk.
    public func removeAll() { list.removeAll(keepingCapacity: true) }

    /// The first fault of each row, in the order of rows: what `quarantine` and `stop` go by.
    public var firstOfEachRow: [RowError] {
        var seen: Set<Int> = []
        return list.filter { seen.insert($0.row).inserted }.sorted { $0.row < $1.row }
    }
}

/// What an expression may depend on beside its arguments: it stands in the plan, so that a replay has the same.
public struct EvaluationContext: Sendable {
    /// The session's zone.
    public var zone: Zone

    public init(zone: Zone = .utc) { self.zone = zone }
}
