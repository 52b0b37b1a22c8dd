// The JSON decoder: conversions, hostile documents, the memory of keys, and Foundation as the reference.

import CLinux
import Engine
import Foundation
import TestSupport
import Testing

private let allTypes = Schema([
    Field("t", .text), Field("i", .int64), Field("d", .float64), Field("b", .bool), Field("w", .timestamp),
])

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func jsonAdEvent(_ number: Int, type: String = "view") -> [UInt8] {
    bytes(
        #"{"user_id":"user-\#(number)","page_id":"page-\#(number)","ad_id":"\#(Wire.adID(number))","#
            + #""ad_type":"banner","event_type":"\#(type)","event_time":\#(1_760_000_000_000 + number),"#
            + #""ip_address":"10.0.0.\#(number % 256)"}"#)
}

struct JSONRowDecoderTests {
    @Test func `a look at sixteen bytes gives what a look at each gives`() {
        var random = SystemRandomNumberGenerator()
        for round in 0..<20_000 {
            let edges: [UInt8] = [0x00, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x5B, 0x5C, 0x5D, 0x7F, 0x80, 0x9F, 0xA2, 0xDC, 0xFF]
            let bytes = (0..<16).map { _ in round % 2 == 0 ? edges.randomElement(using: &random)! : UInt8.random(in: 0...255, using: &random) }
            var (copy, plain) = ([UInt8](repeating: 1, count: 16), [UInt8](repeating: 2, count: 16))
            let (stops, all) = (sluice_json_stops(bytes), sluice_json_copy(&copy, bytes))
            #expect(stops == sluice_json_stops_plain(bytes) && all == sluice_json_copy_plain(&plain, bytes), "\(bytes)")
            #expect(copy == bytes && plain == bytes)
        }
    }

    @Test func `the quotes of a document are found as a look at each byte finds them`() {
        var random = SystemRandomNumberGenerator()
        for round in 0..<2_000 {
            let edges: [UInt8] = [0x20, 0x21, 0x22, 0x23, 0x5B, 0x5D, 0x7F]
            var bytes = (0..<Int.random(in: 64...400, using: &random)).map { _ in edges.randomElement(using: &random)! }
            let others: [UInt8] = [0x00, 0x1F, 0x5C, 0x80, 0xA2, 0xFF]
            if round % 2 == 0 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = others.randomElement(using: &random)! }
            var (marks, plain) = ([UInt64](repeating: 1, count: 8), [UInt64](repeating: 2, count: 8))
            let words = bytes.count / 64 + 1
            #expect(sluice_json_quotes(bytes, bytes.count, &marks) == sluice_json_quotes_plain(bytes, bytes.count, &plain))
            #expect(marks[..<words] == plain[..<words], "\(bytes)")
            #expect(marks[words] == 1, "a word too many was written")
        }
    }

    @Test(arguments: [1, 2, 7, 64, 65_536])
    func `ad events become rows in order for every chunk size`(chunk: Int) throws {
        let decoder = try JSONRowDecoder(needed: adEventColumns)
        let count = chunk == 65_536 ? 65_540 : 300
        let result = decodeAll(decoder, (0..<count).map { jsonAdEvent($0) }, chunk: chunk)
        #expect(result.rejected.isEmpty)
        let expected = (0..<count).map {
            [Value.text(Wire.adID($0)), .text("view"), .timestamp(1_760_000_000_000 + Int64($0))]
        }
        #expect(result.rows == expected)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var field: ValueType
        var json: String
        var value: Value
        var testDescription: String { "\(json.prefix(40)) as \(field.rawValue)" }
        init(_ field: ValueType, _ json: String, _ value: Value) {
            self.field = field
            self.json = json
            self.value = value
        }
    }

    @Test(arguments: [
        Case(.int64, "0", .int64(0)), Case(.int64, "-0", .int64(0)), Case(.int64, "12345678", .int64(12_345_678)),
        Case(.int64, "123456789", .int64(123_456_789)), Case(.int64, "-98765432109", .int64(-98_765_432_109)),
        Case(.int64, "9223372036854775807", .int64(.max)), Case(.int64, "-9223372036854775808", .int64(.min)),
        Case(.int64, "9007199254740993", .int64(9_007_199_254_740_993)),
        Case(.timestamp, "1760000000123", .timestamp(1_760_000_000_123)), Case(.timestamp, "-1", .timestamp(-1)),
        Case(.timestamp, #""2026-03-01T12:00:00.250Z""#, .timestamp(1_772_366_400_250)),
        Case(.timestamp, #""2026-03-01T13:00:00+01:00""#, .timestamp(1_772_366_400_000)),
        Case(.timestamp, #""2026-03-01T13:00:00\u002b01:00""#, .timestamp(1_772_366_400_000)),
        Case(.float64, "1", .float64(1)), Case(.float64, "-0.5", .float64(-0.5)),
        Case(.float64, "0.30000000000000004", .float64(0.30000000000000004)),
        Case(.float64, "1.7976931348623157e308", .float64(.greatestFiniteMagnitude)),
        Case(.float64, "5e-324", .float64(.leastNonzeroMagnitude)), Case(.float64, "1e-999", .float64(0)),
        Case(.float64, "123456789012345678901234567890", .float64(0x1.8ee90ff6c373ep+96)),
        Case(.float64, "9007199254740993", .float64(9_007_199_254_740_992)), Case(.float64, "1E+2", .float64(100)),
        Case(.float64, "0.000000000000000000000000000001", .float64(1e-30)),
        Case(.bool, "true", .bool(true)), Case(.bool, "false", .bool(false)),
        Case(.text, #""""#, .text("")), Case(.text, #""abc""#, .text("abc")),
        Case(.text, #""0123456""#, .text("0123456")), Case(.text, #""01234567""#, .text("01234567")),
        Case(.text, #""012345678""#, .text("012345678")), Case(.text, #""naïve 日本 😀""#, .text("naïve 日本 😀")),
        Case(.text, #""a\"b\\c\/d\b\f\n\r\t""#, .text("a\"b\\c/d\u{8}\u{c}\n\r\t")),
        Case(.text, #""\u0041\u00e9\u65E5\ud83d\ude00 end""#, .text("Aé日😀 end")),
        Case(.text, #""{[}],:""#, .text("{[}],:")), Case(.text, "null", .null), Case(.int64, "null", .null),
        Case(.bool, " null ", .null), Case(.timestamp, "\n\t null", .null),
    ])
    func `a value converts to its column`(_ one: Case) throws {
        let decoder = try JSONRowDecoder(needed: Schema([Field("x", one.field, nullable: true)]))
        for document in [
            #"{"x":\#(one.json)}"#, #" { "before" : [1, {"x": 2}] , "x" : \#(one.json) , "after":"x" } "#,
            #"{"x":17,"x":"s","x":\#(one.json)}"#, #"{"\u0078":\#(one.json)}"#,
        ] {
            let result = decodeAll(decoder, [bytes(document)])
            #expect(result.rows == [[one.value]], "\(document)")
        }
    }

    struct Hostile: Sendable, CustomTestStringConvertible {
        var payload: [UInt8]?
        var reason: RejectReason
        var testDescription: String { "\(String(decoding: (payload ?? []).prefix(60), as: UTF8.self)): \(reason.rawValue)" }
        init(_ text: String, _ reason: RejectReason) {
            payload = Array(text.utf8)
            self.reason = reason
        }
        init(bytes: [UInt8]?, _ reason: RejectReason) {
            payload = bytes
            self.reason = reason
        }
        /// The good document with one value replaced.
        init(_ key: String, _ value: String, _ reason: RejectReason) {
            self.init(document(replacing: key, with: value), reason)
        }
    }

    static func document(replacing key: String? = nil, with value: String = "") -> String {
        let parts = [
            ("s", #"["x", {"y": [1, 2.5e3, true, null]}]"#), ("t", #""text""#), ("i", "-5"), ("d", "2.5"),
            ("b", "true"), ("w", "1000"), ("z", #""skipped""#),
        ]
        return "{" + parts.map { #""\#($0.0)": \#($0.0 == key ? value : $0.1)"# }.joined(separator: ", ") + "}"
    }
    static let goodRow: [Value] = [.text("text"), .int64(-5), .float64(2.5), .bool(true), .timestamp(1000)]

    @Test(arguments: [
        Hostile(bytes: nil, .tombstone), Hostile(bytes: [], .empty), Hostile(" ", .invalidValue),
        Hostile("[]", .wrongType), Hostile("17", .wrongType), Hostile(#""text""#, .wrongType),
        Hostile("nul", .invalidValue), Hostile("{}", .missingField), Hostile("{", .truncated),
        Hostile(#"{"t""#, .truncated), Hostile(#"{"t"#, .truncated), Hostile("{]", .invalidValue),
        Hostile("{,}", .invalidValue), Hostile(document() + "x", .trailingBytes),
        Hostile(document() + "{}", .trailingBytes), Hostile(document() + "\u{0}", .trailingBytes),
        Hostile("\u{FEFF}" + document(), .invalidValue), Hostile(#"{"t":"x",}"#, .invalidValue),
        Hostile(#"{"t" "x"}"#, .invalidValue), Hostile(#"{t:"x"}"#, .invalidValue), Hostile("{'t':1}", .invalidValue),
        Hostile("t", "null", .nullField), Hostile("i", "null", .nullField), Hostile("b", "null", .nullField),
        Hostile("t", "5", .wrongType), Hostile("t", "{}", .wrongType), Hostile("i", #""5""#, .wrongType),
        Hostile("i", "[1]", .wrongType), Hostile("i", "1.0", .wrongType), Hostile("i", "1e3", .wrongType),
        Hostile("i", "true", .wrongType), Hostile("b", "1", .wrongType), Hostile("d", #""1""#, .wrongType),
        Hostile("d", "false", .wrongType), Hostile("w", "[]", .wrongType),
        Hostile("i", "9223372036854775808", .invalidValue), Hostile("i", "-9223372036854775809", .invalidValue),
        Hostile("i", "18446744073709551616", .invalidValue),
        Hostile("i", String(repeating: "9", count: 100_000), .invalidValue),
        Hostile("i", "01", .invalidValue), Hostile("i", "-", .invalidValue), Hostile("i", "+1", .invalidValue),
        Hostile("i", "-012345678", .invalidValue), Hostile("i", "1.", .invalidValue), Hostile("i", "1e", .invalidValue),
        Hostile("i", "0x10", .invalidValue), Hostile("i", "1 2", .invalidValue),
        Hostile("d", "NaN", .invalidValue), Hostile("d", "Infinity", .invalidValue), Hostile("d", "-Infinity", .invalidValue),
        Hostile("d", "1e999", .invalidValue), Hostile("d", "-1e999", .invalidValue), Hostile("d", ".5", .invalidValue),
        Hostile("d", "1e99999999999999999999", .invalidValue),
        Hostile("d", "00.5", .invalidValue), Hostile("b", "tru", .invalidValue), Hostile("b", "True", .invalidValue),
        Hostile("w", #""yesterday""#, .invalidValue), Hostile("w", #""2026-02-30T00:00:00Z""#, .invalidValue),
        Hostile("w", #""2026-13-01T00:00:00Z""#, .invalidValue), Hostile("w", "1.5", .wrongType),
        Hostile("t", #""\ud83d""#, .invalidText), Hostile("t", #""\ude00x""#, .invalidText),
        Hostile("t", #""\ud83d\u0041""#, .invalidText), Hostile("t", #""\x""#, .invalidValue),
        Hostile("t", #""\u0000""#, .invalidText), Hostile("t", #""long enough \u0000 é""#, .invalidText),
        Hostile("t", "\"a\u{0}b\"", .invalidValue),
        Hostile("t", #""\u12g4""#, .invalidValue), Hostile("t", "\"a\nb\"", .invalidValue),
        Hostile("z", #""\x""#, .invalidValue), Hostile("z", "\"a\u{1}b\"", .invalidValue),
        Hostile("z", #""open"#, .truncated), Hostile("z", "[1, 2", .invalidValue), Hostile("z", "[1 2]", .invalidValue),
        Hostile("z", "[1,]", .invalidValue), Hostile("z", #"{"a":1,}"#, .invalidValue), Hostile("z", "-01", .invalidValue),
        Hostile("z", String(repeating: "[", count: 100) + String(repeating: "]", count: 100), .tooDeep),
        Hostile("z", String(repeating: "[", count: 100_000), .tooDeep),
        Hostile("z", String(repeating: #"{"a":"#, count: 100_000), .tooDeep),
        Hostile(String(repeating: "[", count: 100_000), .tooDeep),
        Hostile("z", #""\#(String(repeating: "x", count: 17 << 20))""#, .tooLarge),
        Hostile(bytes: bytes(#"{"t":""#) + [0xC3, 0x28] + bytes(#"","i":1,"d":1,"b":true,"w":1}"#), .invalidText),
        Hostile(bytes: bytes(#"{"t":"12345678"#) + [0xFF] + bytes(#"","i":1,"d":1,"b":true,"w":1}"#), .invalidText),
        Hostile(
            bytes: bytes(#"{"t":"\n"#) + [0xED, 0xA0, 0x80] + bytes(#"","i":1,"d":1,"b":true,"w":1}"#), .invalidText),
    ])
    func `hostile documents are rejected by name and the rows around them stay whole`(_ one: Hostile) throws {
        let decoder = try JSONRowDecoder(needed: allTypes)
        let good = bytes(Self.document())
        let result = decodeAll(decoder, [good, one.payload, one.payload, good])
        #expect(result.rejected == [1: one.reason, 2: one.reason])
        #expect(result.rows == [Self.goodRow, Self.goodRow])
    }

    @Test func `99 levels inside the object are allowed`() throws {
        let deep = String(repeating: "[", count: 99) + String(repeating: "]", count: 99)
        let decoder = try JSONRowDecoder(needed: allTypes)
        #expect(decodeAll(decoder, [bytes(Self.document(replacing: "z", with: deep))]).rows == [Self.goodRow])
    }

    @Test func `a document cut at any byte is rejected`() throws {
        let decoder = try JSONRowDecoder(needed: allTypes)
        let whole = bytes(Self.document())
        let result = decodeAll(decoder, (1..<whole.count).map { Array(whole[..<$0]) }, chunk: 16)
        #expect(result.rows.isEmpty)
        #expect(result.rejected.values.allSatisfy { $0 == .truncated })
    }

    @Test func `of a key that comes twice the last value counts, whatever the first was`() throws {
        let decoder = try JSONRowDecoder(needed: Schema([Field("t", .text), Field("i", .int64)]))
        let texts = [
            #"{"t":"long first text","i":1,"t":"b"}"#, #"{"t":null,"t":"b","i":1}"#, #"{"t":5,"i":"x","t":"b","i":1}"#,
            #"{"t":"\ud800","i":99999999999999999999,"i":1,"t":"b"}"#,
        ]
        #expect(
            decodeAll(decoder, texts.map { bytes($0) }).rows == Array(repeating: [.text("b"), .int64(1)], count: 4))
        let worse = decodeAll(decoder, [bytes(#"{"t":"b","i":1,"i":"x"}"#), bytes(#"{"t":"b","i":1,"t":null}"#)])
        #expect(worse.rejected == [0: .wrongType, 1: .nullField])
    }

    @Test func `keys are found in any order, of any length, and among more than are remembered`() throws {
        let long = String(repeating: "k", count: 40)
        let names = ["a", "ab", "1234567", "12345678", "123456789012345", long, long + "2", "last", ""]
        let needed = Schema(names.map { Field($0, .int64) })
        let decoder = try JSONRowDecoder(needed: needed)
        var random = SeededRandom(seed: 3)
        var payloads: [[UInt8]] = []
        var rows: [[Value]] = []
        for number in 0..<2000 {
            let values = names.map { _ in Int64(random.below(1_000_000)) }
            var members = zip(names, values).map { #""\#($0)":\#($1)"# }
            for extra in 0..<(number % 7 == 0 ? 100 : random.below(3)) { members.append(#""extra\#(extra)":"v""#) }
            // Neighbours of needed names that differ in one byte only.
            if random.chance(0.3) { members += [#""1234567x":0"#, #""A":0"#, #""lasu":0"#, #""12345678901234":0"#] }
            if random.chance(0.5) { members.shuffle(using: &random) }
            payloads.append(bytes("{" + members.joined(separator: random.pick([",", ", ", ",\n "])) + "}"))
            rows.append(values.map { .int64($0) })
        }
        for chunk in [1, 64, 4096] { #expect(decodeAll(decoder, payloads, chunk: chunk).rows == rows) }
    }

    @Test func `a key asked for twice is refused`() {
        let failure = #expect(throws: Failure.self) {
            try JSONRowDecoder(needed: Schema([Field("a", .text), Field("a", .int64)]))
        }
        #expect(failure?.code == .schemaMismatch)
    }

    @Test(arguments: [0.0, 0.1, 0.5, 1.0])
    func `random documents decode to what Foundation reads`(nullRate: Double) throws {
        var random = SeededRandom(seed: 17 + UInt64(nullRate * 10))
        let needed = Schema(allTypes.fields.map { Field($0.name, $0.type, nullable: true) })
        let decoder = try JSONRowDecoder(needed: needed)
        let documents = (0..<3000).map { _ in Self.randomDocument(&random, nullRate: nullRate) }
        let expected = try documents.map { document in
            let object = try #require(try JSONSerialization.jsonObject(with: Data(document.utf8)) as? [String: Any])
            return needed.fields.map { field -> Value in
                guard let value = object[field.name], !(value is NSNull) else { return .null }
                switch field.type {
                case .text: return .text(value as! String)
                case .int64: return .int64((value as! NSNumber).int64Value)
                case .timestamp: return .timestamp((value as! NSNumber).int64Value)
                case .float64: return .float64((value as! NSNumber).doubleValue)
                case .bool: return .bool((value as! NSNumber).boolValue)
                }
            }
        }
        for chunk in [1, 10, 1000] {
            let result = decodeAll(decoder, documents.map { bytes($0) }, chunk: chunk)
            #expect(result.rejected.isEmpty)
            for (row, wanted) in zip(result.rows, expected) where !Self.isAlike(row, wanted) {
                Issue.record("\(row) is not \(wanted)")
            }
        }
    }

    /// Foundation rounds the last digits of doubles differently from the nearest; the test below is exact.
    private static func isAlike(_ row: [Value], _ wanted: [Value]) -> Bool {
        zip(row, wanted).allSatisfy { one, other in
            guard case .float64(let number) = one, case .float64(let reference) = other else { return one == other }
            return abs(number - reference) <= abs(reference) * 1e-15
        }
    }

    @Test func `doubles are the nearest to their text, for all magnitudes and lengths`() throws {
        var random = SeededRandom(seed: 4)
        var texts: [String] = []
        for _ in 0..<20_000 {
            let number = Double(bitPattern: random.next())
            if number.isFinite { texts.append(String(number).replacingOccurrences(of: "e+", with: "e")) }
            let digits = String((0..<1 + random.below(25)).map { _ in random.pick(Array("0123456789")) })
            let exponent = random.chance(0.5) ? "e\(random.below(80) - 40)" : ""
            texts.append("\(random.below(10)).\(digits)\(exponent)")
        }
        let decoder = try JSONRowDecoder(needed: Schema([Field("d", .float64)]))
        let result = decodeAll(decoder, texts.map { bytes(#"{"d":\#($0)}"#) })
        #expect(result.rejected.isEmpty)
        for (text, row) in zip(texts, result.rows) where row != [.float64(Double(text)!)] {
            Issue.record("\(row) is not \(text)")
        }
    }

    @Test func `random mutations are accepted exactly when Foundation accepts them`() throws {
        var random = SeededRandom(seed: 99)
        let decoder = try JSONRowDecoder(needed: Schema([]))
        var accepted = 0
        for _ in 0..<20_000 {
            var document = bytes(Self.randomDocument(&random, nullRate: 0.1, isPlain: true))
            for _ in 0..<1 + random.below(2) where document.count > 2 {
                let place = 1 + random.below(document.count - 1)
                switch random.below(3) {
                case 0: document[place] = random.pick(bytes(#"{}[]",:\0123456789.-+eEtrufalsn x"#))
                case 1: document.remove(at: place)
                default: document.insert(random.pick(bytes(#"{}[]",:\01.-e "#)), at: place)
                }
            }
            let ours = decodeAll(decoder, [document]).kept.count == 1
            let theirs: Bool
            do { theirs = try JSONSerialization.jsonObject(with: Data(document)) is [String: Any] } catch { theirs = false }
            accepted += ours ? 1 : 0
            // Foundation refuses magnitudes beyond all doubles also where nobody reads them.
            let text = String(decoding: document, as: UTF8.self)
            if ours, !theirs, text.firstMatch(of: /[0-9][eE]\+?[0-9]{3}/) != nil { continue }
            // And it allows a comma behind the last part, which RFC 8259 does not.
            if !ours, theirs, text.firstMatch(of: /,\s*[\]}]/) != nil { continue }
            if ours != theirs { Issue.record("we \(ours), Foundation \(theirs): \(text)") }
        }
        #expect(accepted > 1000 && accepted < 19_000)
    }

    @Test func `random mutations never crash and never break the contract`() throws {
        let decoder = try JSONRowDecoder(needed: allTypes)
        var random = SeededRandom(seed: 20_260_102)
        let seeds = [
            bytes(Self.document()), bytes(Self.document(replacing: "t", with: #""\ud83d\ude00 ä日本 \n end""#)),
            bytes(Self.document(replacing: "w", with: #""2026-03-01T12:00:00.250Z""#)),
        ]
        for _ in 0..<100 {
            let result = decodeAll(decoder, (0..<1000).map { _ in mutated(random.pick(seeds), &random) })
            for row in result.rows where row.contains(.null) { Issue.record("a NULL where none may be") }
        }
    }

    /// An object with the needed members among others. Plain: nothing on whose treatment parsers differ.
    static func randomDocument(_ random: inout SeededRandom, nullRate: Double, isPlain: Bool = false) -> String {
        func space(_ random: inout SeededRandom) -> String { random.chance(0.2) ? random.pick([" ", "\n", "\t ", "\r\n"]) : "" }
        func text(_ random: inout SeededRandom) -> String {
            let plain = ["view", "a", "0123456789", "", "_", "x y"]
            let rich = plain + ["é", "日本", "😀", #"\""#, #"\\"#, #"\n"#, #"\u00e9"#, #"\ud83d\ude00"#, #"\/"#]
            return "\"" + (0..<random.below(6)).map { _ in random.pick(isPlain ? plain : rich) }.joined() + "\""
        }
        func value(_ random: inout SeededRandom, _ depth: Int) -> String {
            switch random.below(depth > 3 ? 4 : 6) {
            case 0: return text(&random)
            case 1: return String(random.below(100_000) - 50_000)
            case 2: return random.pick(["true", "false", "null"])
            case 3: return String(Double(random.below(100_000)) / 64)
            case 4: return "[" + (0..<random.below(4)).map { _ in value(&random, depth + 1) }.joined(separator: ",") + "]"
            default:
                return "{"
                    + (0..<random.below(4)).map { "\"m\($0)\"" + ":" + value(&random, depth + 1) }
                    .joined(separator: "," + space(&random)) + "}"
            }
        }
        func orNull(_ random: inout SeededRandom, _ make: (inout SeededRandom) -> String) -> String? {
            guard random.chance(nullRate) else { return make(&random) }
            return random.chance(0.5) ? "null" : nil
        }
        var members: [(String, String?)] = [
            ("t", orNull(&random) { text(&$0) }),
            ("i", orNull(&random) { String(Int64(bitPattern: $0.next()) >> Int64($0.below(64))) }),
            ("d", orNull(&random) { isPlain ? "2.5" : String(Double.random(in: -1e6...1e6, using: &$0)) }),
            ("b", orNull(&random) { $0.chance(0.5) ? "true" : "false" }),
            ("w", orNull(&random) { String($0.below(2_000_000_000_000)) }),
        ]
        for index in 0..<random.below(5) { members.append(("other\(index)", value(&random, 0))) }
        if random.chance(0.5) { members.shuffle(using: &random) }
        let body = members.compactMap { member in
            member.1.map { #""\#(member.0)""# + space(&random) + ":" + space(&random) + $0 }
        }
        return "{" + body.joined(separator: space(&random) + "," + space(&random)) + "}" + space(&random)
    }
}
