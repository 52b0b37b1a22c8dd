// Records of 20 fields, of which the bench's job uses 4: what a fat record costs when most of it is passed over.
//
// An order of a shop: texts of 2 to 60 bytes, whole and broken numbers, a flag. A thousand of them are rendered once;
// a record is one of those with its own event time in it, so that making ten million takes seconds. The job's answer
// (the quantities of all books) is added up while they are made and shares no code with the engine.
//
// Avro is encoded here by hand, with Confluent's framing, as in `EventPieces`: each side checks the other.

import Engine

/// The orders of one format, ready to be sent.
struct WideRecords {
    private enum Kind { case text, long, double, flag }
    private enum Cell {
        case text(String)
        case long(Int64)
        /// Quarters, so that its decimal digits are exact.
        case quarters(Int)
        case flag(Bool)
    }

    /// Names and types in the order of the record.
    private static let fields: [(name: String, kind: Kind)] = [
        ("order_id", .text), ("customer_id", .text), ("session_id", .text), ("country", .text), ("city", .text),
        ("street", .text), ("product_id", .text), ("category", .text), ("brand", .text), ("quantity", .long),
        ("price", .double), ("discount", .double), ("currency", .text), ("is_gift", .flag), ("event_time", .long),
        ("channel", .text), ("device", .text), ("browser", .text), ("referrer", .text), ("weight_grams", .long),
    ]
    private static let timeField = 14
    private static let variants = 1024
    static let countries = ["de", "fr", "gb", "pl", "es", "it", "nl", "se"]
    static let categories = ["books", "music", "garden", "clothes", "toys"]

    /// The Avro schema of the records.
    static var schemaText: String {
        let types: [Kind: String] = [.text: "string", .long: "long", .double: "double", .flag: "boolean"]
        let fields = fields.map { "{\"name\":\"\($0.name)\",\"type\":\"\(types[$0.kind] ?? "")\"}" }
        return "{\"type\":\"record\",\"name\":\"Order\",\"fields\":[\(fields.joined(separator: ","))]}"
    }

    private let format: RecordFormat
    private let heads: [[UInt8]]
    private let tails: [[UInt8]]
    /// What a record adds to the answer.
    private let counted: [Int]
    private let draws = SeededDraws(seed: 20, .events)

    init(format: RecordFormat) {
        self.format = format
        var (heads, tails, counted): ([[UInt8]], [[UInt8]], [Int]) = ([], [], [])
        for variant in 0..<Self.variants {
            let cells = Self.cells(variant)
            var (head, tail): ([UInt8], [UInt8]) = (format == .avro ? [0, 0, 0, 0, 1] : Array("{".utf8), [])
            for (place, field) in Self.fields.enumerated() {
                let name = format == .avro ? [] : Array("\(place == 0 ? "" : ",")\"\(field.name)\":".utf8)
                if place == Self.timeField {
                    head += name
                } else if place < Self.timeField {
                    head += name + Self.bytes(cells[place], format)
                } else {
                    tail += name + Self.bytes(cells[place], format)
                }
            }
            if format == .json { tail.append(UInt8(ascii: "}")) }
            heads.append(head)
            tails.append(tail)
            guard case .text("books") = cells[7], case .long(let quantity) = cells[9] else {
                counted.append(0)
                continue
            }
            counted.append(Int(quantity))
        }
        (self.heads, self.tails, self.counted) = (heads, tails, counted)
    }

    /// Sends `events` records, event `i` to partition `i % partitions`. Returns the answer.
    func send(
        _ producer: KafkaProducer, topic: String, partitions: Int, events: Int, startMillis: Int64, spanMillis: Int64,
        check: () throws -> Void
    ) throws -> Int {
        var record: [UInt8] = []
        record.reserveCapacity(1024)
        var answer = 0
        for event in 0..<events {
            let variant = Int(draws.draw(event) & UInt64(Self.variants - 1))
            let time = startMillis + Int64(Double(event) * Double(spanMillis) / Double(events))
            record.removeAll(keepingCapacity: true)
            record += heads[variant]
            if format == .avro { Self.appendLong(time, to: &record) } else { Self.appendDecimal(time, to: &record) }
            record += tails[variant]
            answer += counted[variant]
            try record.withUnsafeBufferPointer {
                try producer.send(
                    topic: topic, partition: Int32(event % partitions), value: $0, timestampMillis: time)
            }
            if event % 65_536 == 0 { try check() }
        }
        try producer.flush(timeoutMillis: 120_000)
        return answer
    }

    private static func cells(_ variant: Int) -> [Cell] {
        let draws = SeededDraws(seed: 20, .pages)
        func draw(_ place: Int, _ below: Int) -> Int { Int(draws.draw(variant * 32 + place) % UInt64(below)) }
        func uuid(_ place: Int) -> String { String(decoding: draws.uuid(variant * 32 + place), as: UTF8.self) }
        let quantity = 1 + draw(9, 9)
        return [
            .text(uuid(0)), .text(uuid(1)), .text(uuid(2)), .text(countries[draw(3, countries.count)]),
            .text(["Berlin", "Lyon", "Wroclaw", "Santiago de Compostela"][draw(4, 4)]),
            .text("\(1 + draw(5, 300)) Long Street of the Fields"), .text("SKU-\(100_000 + draw(6, 900_000))"),
            .text(categories[draw(7, categories.count)]), .text(["Acme", "Umbrella", "Initech"][draw(8, 3)]),
            .long(Int64(quantity)), .quarters(40 + draw(10, 4000)), .quarters(draw(11, 40)), .text("EUR"),
            .flag(draw(13, 10) == 0), .long(0), .text(["web", "app", "shop"][draw(15, 3)]),
            .text(["phone", "tablet", "desktop"][draw(16, 3)]), .text(["Firefox 140", "Chrome 138", "Safari 18"][draw(17, 3)]),
            .text("https://shop.example/campaigns/\(draw(18, 1000))/landing?source=mail"), .long(Int64(50 + draw(19, 20_000))),
        ]
    }

    private static func bytes(_ cell: Cell, _ format: RecordFormat) -> [UInt8] {
        if format == .json {
            switch cell {
            case .text(let text): return Array("\"\(text)\"".utf8)
            case .long(let value): return Array("\(value)".utf8)
            case .quarters(let value): return Array("\(Double(value) / 4)".utf8)
            case .flag(let value): return Array("\(value)".utf8)
            }
        }
        switch cell {
        case .text(let text):
            var bytes: [UInt8] = []
            appendLong(Int64(text.utf8.count), to: &bytes)
            return bytes + Array(text.utf8)
        case .long(let value):
            var bytes: [UInt8] = []
            appendLong(value, to: &bytes)
            return bytes
        case .quarters(let value):
            let bits = (Double(value) / 4).bitPattern
            return (0..<8).map { UInt8(truncatingIfNeeded: bits >> UInt64(8 * $0)) }
        case .flag(let value): return [value ? 1 : 0]
        }
    }

    /// Zigzag, then seven bits a byte, lowest first.
    private static func appendLong(_ value: Int64, to bytes: inout [UInt8]) {
        var rest = UInt64(bitPattern: value << 1 ^ value >> 63)
        while rest >= 128 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private static func appendDecimal(_ value: Int64, to bytes: inout [UInt8]) {
        let start = bytes.count
        var rest = value
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }
}
