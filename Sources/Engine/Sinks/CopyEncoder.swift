// Rows as PostgreSQL's COPY reads them in its binary format: no text is made of numbers, nothing is escaped.
//
// The stream: a signature of 11 bytes, two zero words; each row as its number of fields and, per field, length and bytes
// in network order (-1 for NULL); -1 at the end. A time is microseconds since 2000. The last field of each row is its
// number, counted over all chunks, by which the staging table keeps the order; those of keys whose rows go are counted down
// from -1.

struct CopyEncoder: ~Copyable {
    private var buffer: UnsafeMutableRawPointer
    private var capacity: Int
    private var count = 0
    private var rowNumber: Int64
    private let step: Int64

    /// Sent whenever this much has gathered: large enough for the network, small enough for a worker's memory.
    private static let sendBytes = 256 * 1024
    private static let signature: [UInt8] = Array("PGCOPY\n".utf8) + [0xff, 0x0d, 0x0a, 0x00] + [UInt8](repeating: 0, count: 8)

    init(deletes: Bool = false) {
        rowNumber = deletes ? -1 : 0
        step = deletes ? -1 : 1
        capacity = Self.sendBytes * 2
        buffer = .allocate(byteCount: capacity, alignment: 16)
        for byte in Self.signature { put(byte) }
    }

    deinit { buffer.deallocate() }

    /// Encodes those of the selected rows that `range` counts, handing over full buffers.
    mutating func append(
        _ chunk: Chunk, _ columns: [Column], _ range: Range<Int>, send: (UnsafeBufferPointer<UInt8>) throws -> Void
    ) throws {
        let cells = columns.map(RowCells.init)
        let selected = chunk.selection.map { UnsafePointer($0.rows) }
        try withExtendedLifetime(chunk) {
            for index in range {
                let row = Chunk.row(index, selected)
                reserve(2 + 12 * (cells.count + 1))
                put(Int16(truncatingIfNeeded: cells.count + 1))
                for column in 0..<cells.count {
                    if cells[column].isNull(row) {
                        put(-1 as Int32)
                        continue
                    }
                    switch cells[column].type {
                    case .int64: putField(cells[column].int64(row))
                    case .float64: putField(Int64(bitPattern: cells[column].float64(row).bitPattern))
                    case .timestamp: putField(Self.microseconds(cells[column].int64(row)))
                    case .bool:
                        put(1 as Int32)
                        put(cells[column].bool(row) ? 1 : 0 as UInt8)
                    case .text:
                        let (start, length) = cells[column].text(row)
                        // What the fields after this one need at most is kept free.
                        reserve(4 + length + 12 * (cells.count + 1))
                        put(Int32(truncatingIfNeeded: length))
                        (buffer + count).copyMemory(from: start, byteCount: length)
                        count += length
                    }
                }
                putField(rowNumber)
                rowNumber += step
                if count >= Self.sendBytes { try flush(send) }
            }
        }
    }

    /// Ends the stream.
    mutating func finish(send: (UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        reserve(2)
        put(-1 as Int16)
        try flush(send)
    }

    private mutating func flush(_ send: (UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        try send(UnsafeBufferPointer(start: buffer.assumingMemoryBound(to: UInt8.self), count: count))
        count = 0
    }

    private mutating func reserve(_ extra: Int) {
        guard count + extra > capacity else { return }
        capacity = max(capacity * 2, count + extra)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: buffer, byteCount: count)
        buffer.deallocate()
        buffer = larger
    }

    @inline(__always) private mutating func put<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number) {
        (buffer + count).storeBytes(of: number.bigEndian, as: Number.self)
        count += MemoryLayout<Number>.size
    }

    @inline(__always) private mutating func putField(_ number: Int64) {
        put(8 as Int32)
        put(number)
    }

    /// The largest and the smallest number mean infinity to PostgreSQL. A time that does not fit becomes one that the
    /// server refuses, never one that it stores.
    private static func microseconds(_ millis: Int64) -> Int64 {
        let (sinceEpoch, early) = millis.subtractingReportingOverflow(946_684_800_000)
        let (micros, far) = sinceEpoch.multipliedReportingOverflow(by: 1000)
        return early || far ? Int64.max - 1 : micros
    }
}
