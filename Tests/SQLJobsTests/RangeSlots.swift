// Ranges of a topic as slots of workers read them: work that is used for one range after the other, records that are gone when a call
// returns, and attempts that are left in the middle.

import Engine
import TestSupport

final class RangeSlots {
    private let work: any StageWork
    private let schema: String?
    private let chunkRecords: Int
    private var slots: [(any RangeWork)?] = [nil, nil, nil]

    init(_ work: any StageWork, schema: String?, chunkRecords: Int) {
        self.work = work
        self.schema = schema
        self.chunkRecords = chunkRecords
    }

    struct Rejected: Hashable {
        let partition: Int32
        let offset: Int64
        let reason: RejectReason
    }

    struct Done {
        var ranges: [MadeOfRange] = []
        var rejected: [Rejected] = []
    }

    /// All records of a batch, cut into ranges at random.
    func run(_ records: [MadeRecord], _ task: (Int32) -> WorkTask, random: inout SeededRandom, loses: Double) throws -> Done {
        var done = Done()
        for partition in Set(records.map(\.partition)).sorted() {
            let own = records.filter { $0.partition == partition }
            let cuts = ([0, own.count] + (0..<random.below(3)).map { _ in random.below(own.count + 1) }).sorted()
            for (from, until) in zip(cuts, cuts.dropFirst()) where from < until || random.chance(0.3) {
                let range = Array(own[from..<until])
                while true {
                    let slot = random.below(slots.count)
                    let part = try slots[slot] ?? work.makeRangeWork(schemaText: schema, chunkRecords: chunkRecords)
                    slots[slot] = part
                    try part.begin(task(partition))
                    let isLost = random.chance(loses)
                    var rejected: [Rejected] = []
                    try take(isLost ? Array(range.prefix(random.below(range.count + 1))) : range, part, &random) { record, reason in
                        rejected.append(Rejected(partition: partition, offset: record.offset, reason: reason))
                    }
                    if isLost {
                        if random.chance(0.3) { _ = try part.finish(compressing: false) }
                        continue
                    }
                    done.ranges.append(try part.finish(compressing: random.chance(0.5)))
                    done.rejected += rejected
                    break
                }
            }
        }
        return done
    }

    /// Some at a time, each in memory of its own that is scribbled over when the call is back.
    private func take(_ records: [MadeRecord], _ part: any RangeWork, _ random: inout SeededRandom, reject: (RawRecord, RejectReason) -> Void) throws {
        var rest = records[...]
        while !rest.isEmpty {
            let some = rest.prefix(1 + random.below(5))
            rest = rest.dropFirst(some.count)
            var memory: [UnsafeMutableBufferPointer<UInt8>] = []
            func place(_ bytes: [UInt8]?) -> UnsafePointer<UInt8>? {
                guard let bytes else { return nil }
                let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(bytes.count, 1))
                _ = copy.update(from: bytes)
                memory.append(copy)
                return UnsafePointer(copy.baseAddress!)
            }
            let raw = some.map { record in
                RawRecord(
                    payload: place(record.value), length: record.value?.count ?? 0, offset: record.offset, key: place(record.key), keyLength: record.key?.count ?? 0,
                    timeMillis: RawRecord.noTime)
            }
            defer {
                for bytes in memory {
                    bytes.update(repeating: 0xAA)
                    bytes.deallocate()
                }
            }
            try raw.withUnsafeBufferPointer { try part.take($0) { record, reason, _ in reject(record, reason) } }
        }
    }
}
