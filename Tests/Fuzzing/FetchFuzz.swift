// Fuzzing of what brokers say: answers to Fetch on their whole way into records, and packed batches behind their caps.
//
// An answer's bytes are fed to the parser in pieces whose size the first byte says; what it takes for records goes through a stand as
// in a reader, with its walk and its unpacking. Checksums are not compared, because nearly every mutated batch would
// stop there. Whatever comes out must lie in the order and the bounds that a range promises, and in memory of its buffers:
// every byte of every value is read. What is unpacked stays within its cap.

import CXXHash
import CZstd
import Engine

/// Takes answers as a reader would.
private final class FuzzReceiver: FetchAnswerReceiver {
    let stand = FetchStand(TopicPartition(topic: "t", partition: 0))
    let shop: FetchShop

    init(_ shop: FetchShop) { self.shop = shop }

    func recordsCome(of partition: FetchedPartition) -> FetchBuffer? { shop.takeForAnswer(partition.recordBytes, usual: 4096) }

    func partitionCame(_ partition: FetchedPartition, records: FetchBuffer?) {
        stand.came(partition, records, isolation: .readCommitted, shop)
    }

    func brokerNamed(_ broker: Int32, at address: BrokerAddress) {}
}

final class FetchFuzz: FuzzSubject {
    private static let mostUnpackedBytes = 1 << 20
    private let receiver = FuzzReceiver(FetchShop(answerBytes: 4 << 20, extraBytes: 4 << 20, mostUnpackedBytes: mostUnpackedBytes, checksCRC: false))
    private let parser = FetchAnswerParser()
    private let room = UnsafeMutableBufferPointer<RawRecord>.allocate(capacity: 64)
    private var sum: UInt64 = 0

    let seeds: [[UInt8]] = FetchSeeds.answers.map { [200] + $0 } + FetchSeeds.answers.map { [3] + $0 }
    let tokens: [[UInt8]] = [
        [0, 0, 0, 0], [0xff, 0xff, 0xff, 0xff], [0x7f, 0xff, 0xff, 0xff], [0, 1], [2], [0x80, 0x80, 0x80, 0x80, 0x10], [0x28, 0xb5, 0x2f, 0xfd],
        [0x04, 0x22, 0x4d, 0x18], [0x1f, 0x8b, 8], [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0], [0, 1, 2, 3, 4], [0x10], [0x20], [0x30],
    ]

    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome {
        guard input.count > 1 else { return .refused }
        let piece = max(1, Int(input[0]))
        receiver.stand.start(at: 0, receiver.shop)
        parser.begin(version: 11, correlation: 1, mostBytes: 1 << 20)
        var place = 1
        do {
            while !parser.isDone && place < input.count {
                let room = parser.room()
                if room.isEmpty { return .defect("the parser has no room and is not done") }
                let count = min(piece, room.count, input.count - place)
                room.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(input)[place..<place + count]))
                place += count
                try parser.received(count, receiver)
            }
        } catch is WireError {
            if let half = parser.abandon() { receiver.shop.put(half) }
            // What came whole before is read all the same.
        } catch {
            return .defect("the parser throws \(error)")
        }
        return walk()
    }

    private func walk() -> FuzzOutcome {
        var passage = RangePassage(from: 0, until: Int64.max)
        var (bytes, last, next) = (0, RecordRun.Last(), Int64(0))
        do {
            while !passage.isComplete {
                let count = try receiver.stand.take(into: room, &passage, bytes: &bytes, last: &last, receiver.shop)
                if count == 0 { break }
                for record in room[..<count] {
                    if record.offset < next { return .defect("offset \(record.offset) behind \(next)") }
                    next = record.offset + 1
                    if record.length < 0 || record.length > Self.mostUnpackedBytes { return .defect("a value of \(record.length) bytes") }
                    if let payload = record.payload { sum &+= XXH64(payload, record.length, 0) }
                }
                if last.offset != room[count - 1].offset { return .defect("the last record is another") }
            }
        } catch is StandTrouble {
            return .refused
        } catch {
            return .defect("the walk throws \(error)")
        }
        return parser.isDone ? .accepted : .refused
    }
}

/// One packed batch and its cap: the first byte names the codec.
final class UnpackFuzz: FuzzSubject {
    private static let mostBytes = 1 << 18
    private let unpacker = BatchUnpacker(mostBytes: mostBytes)
    let seeds: [[UInt8]] = FetchSeeds.packed
    let tokens: [[UInt8]] = [
        [0x28, 0xb5, 0x2f, 0xfd], [0x04, 0x22, 0x4d, 0x18], [0x1f, 0x8b, 8, 0], [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0], [0, 0, 0, 1],
        [0xff, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0x7f], [0xfe, 0x01, 0x00],
    ]

    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome {
        guard let first = input.first, let codec = BatchCodec(rawValue: first & 3 + 1) else { return .refused }
        let output = FetchBuffer(capacity: 64)
        do throws(UnpackError) {
            try unpacker.unpack(codec, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(input)[1...]), into: output)
        } catch {
            return output.capacity > Self.mostBytes * 2 ? .defect("\(output.capacity) bytes for a cap of \(Self.mostBytes)") : .refused
        }
        if output.count > Self.mostBytes { return .defect("\(output.count) bytes came out of a cap of \(Self.mostBytes)") }
        return .accepted
    }
}

/// The server's texts of SCRAM: two lines, the first and the final one. The derivation is stubbed, because it is slow on purpose.
final class ScramFuzz: FuzzSubject {
    let seeds: [[UInt8]] = [
        Array("r=noncemore,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096\nv=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".utf8),
        Array("r=nonce1,s=AAAA,i=8192,x=1\ne=other".utf8),
    ]
    let tokens: [[UInt8]] = [",", "r=nonce", "s=", "i=", "v=", "e=", "=", "==", "9999999999999999999", "\n"].map { Array($0.utf8) }

    func run(_ input: UnsafeBufferPointer<UInt8>) -> FuzzOutcome {
        let lines = input.split(separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
        var derivations = 0
        var exchange = ScramExchange(user: "u", password: "p", is512: false, nonce: "nonce") { _, _, iterations in
            derivations = iterations
            return [UInt8](repeating: 7, count: 32)
        }
        do {
            let final = try exchange.final(after: String(decoding: lines[0], as: UTF8.self))
            if !ScramExchange.iterations.contains(derivations) { return .defect("\(derivations) iterations") }
            if !final.hasPrefix("c=biws,r=nonce") { return .defect("the final text is \(final)") }
            if lines.count > 1 {
                try exchange.check(serverFinal: String(decoding: lines[1], as: UTF8.self))
                return .defect("a signature was guessed")
            }
            return .accepted
        } catch is StreamError {
            return derivations > 0 ? .accepted : .refused
        } catch {
            return .defect("the exchange throws \(error)")
        }
    }
}

/// What brokers really send, small.
enum FetchSeeds {
    private static func varint(_ value: Int) -> [UInt8] {
        var rest = UInt64(bitPattern: Int64(value << 1 ^ value >> 63))
        var bytes: [UInt8] = []
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    private static func number(_ value: Int, _ bytes: Int) -> [UInt8] {
        (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    static func records(_ values: [String]) -> [UInt8] {
        values.enumerated().flatMap { index, value in
            let body = [UInt8(0)] + varint(index) + varint(index) + varint(-1) + varint(value.utf8.count) + Array(value.utf8) + varint(0)
            return varint(body.count) + body
        }
    }

    static func batch(at offset: Int, _ count: Int, attributes: Int, _ body: [UInt8], producer: Int = -1) -> [UInt8] {
        let covered =
            number(attributes, 2) + number(count - 1, 4) + number(0, 16) + number(producer, 8) + number(-1, 2) + number(-1, 4)
            + number(count, 4) + body
        return number(offset, 8) + number(covered.count + 9, 4) + number(0, 4) + [2] + number(0, 4) + covered
    }

    static func answer(_ records: [UInt8], aborted: [(Int, Int)] = []) -> [UInt8] {
        var body = number(1, 4) + number(0, 4) + number(0, 2) + number(0, 4) + number(1, 4) + number(1, 2) + Array("t".utf8)
        body += number(1, 4) + number(0, 4) + number(0, 2) + number(9, 8) + number(9, 8) + number(0, 8) + number(aborted.count, 4)
        for (producer, offset) in aborted { body += number(producer, 8) + number(offset, 8) }
        body += number(-1, 4) + number(records.count, 4) + records
        return number(body.count, 4) + body
    }

    private static var zstd: [UInt8] {
        let plain = records(["packed", "also packed", "packed"])
        return [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(plain.count)) { buffer, count in
            count = ZSTD_compress(buffer.baseAddress, buffer.count, plain, plain.count, 1)
        }
    }

    static var answers: [[UInt8]] {
        let plain = batch(at: 0, 3, attributes: 0, records(["a", "bc", ""]))
        return [
            answer(plain + batch(at: 3, 2, attributes: 0, records(["x", "y"]))), answer(plain + batch(at: 5, 3, attributes: 4, zstd)),
            answer(
                batch(at: 0, 2, attributes: 0x10, records(["no", "no"]), producer: 4)
                    + batch(at: 2, 1, attributes: 0x30, records(["marker"]), producer: 4), aborted: [(4, 0)]),
            answer([]),
        ]
    }

    /// Codec byte (1 gzip is 0, and so on), then the packed bytes.
    static var packed: [[UInt8]] {
        [
            [0, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 4, 0, 0x43, 0xbe, 0xb7, 0xe8, 1, 0, 0, 0], [1, 5, 0x10, 1, 2, 3, 4, 5],
            [1, 0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 5, 0x10, 1, 2, 3, 4, 5],
            [2, 0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 3, 0, 0, 0x80, 1, 2, 3, 0, 0, 0, 0], [3] + zstd,
        ]
    }
}
