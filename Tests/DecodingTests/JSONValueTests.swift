// What a value of JSON becomes in a column of each type: one line a case.

import Dataflow
import Decoding
import Testing
import Values

/// A value of JSON in a column of a type.
struct ValueCase: CustomStringConvertible, Sendable {
    let type: String
    let json: String
    /// The column's text, NULL, or the reason with its SQLSTATE.
    let expected: String

    init(_ type: String, _ json: String, _ expected: String) {
        self.type = type
        self.json = json
        self.expected = expected
    }

    var description: String { "\(type) of \(json)" }
}

struct JSONValueTests {
    private static func check(_ item: ValueCase, options: String = "format = 'json'", zone: String = "UTC") throws {
        let rig = try DecodingRig("c \(item.type)", options, zone: zone)
        #expect(try rig.one(TestRecord("{\"c\":\(item.json)}")) == item.expected)
    }

    static let numbers: [ValueCase] = [
        ValueCase("int2", "32767", "32767"), ValueCase("int2", "32768", "undecodable 22003"), ValueCase("int2", "-32768", "-32768"),
        ValueCase("int2", "-32769", "undecodable 22003"),
        ValueCase("int4", "2147483647", "2147483647"), ValueCase("int4", "2147483648", "undecodable 22003"), ValueCase("int4", "-0", "0"), ValueCase("int4", "\"12\"", "12"),
        ValueCase("int4", "\" 12 \"", "12"), ValueCase("int4", "\"\"", "undecodable 22P02"), ValueCase("int4", "\"1.0\"", "undecodable 22P02"), ValueCase("int4", "1.0", "1"),
        ValueCase("int4", "1e3", "1000"), ValueCase("int4", "1E+3", "1000"), ValueCase("int4", "10e-1", "1"), ValueCase("int4", "1.50e1", "15"),
        ValueCase("int4", "1.5", "undecodable 22P02"),
        ValueCase("int4", "1e-1", "undecodable 22P02"), ValueCase("int4", "1e400", "undecodable 22003"), ValueCase("int4", "0e400", "0"),
        ValueCase("int4", "true", "undecodable 22023"),
        ValueCase("int4", "[1]", "undecodable 22023"), ValueCase("int4", "{}", "undecodable 22023"), ValueCase("int4", "null", "NULL"),
        ValueCase("int4", "01", "undecodable 22P02"),
        ValueCase("int4", "+1", "undecodable 22P02"), ValueCase("int4", "1.", "undecodable 22P02"), ValueCase("int4", ".5", "undecodable 22P02"),
        ValueCase("int4", "0x10", "undecodable 22P02"),
        ValueCase("int4", "NaN", "undecodable 22P02"), ValueCase("int4", "1_000", "undecodable 22P02"), ValueCase("int4", "-", "undecodable 22P02"),
        ValueCase("int4", "1.00000000000000000000000000000000000000000000000000", "1"),
        ValueCase("int8", "9223372036854775807", "9223372036854775807"), ValueCase("int8", "9223372036854775808", "undecodable 22003"),
        ValueCase("int8", "-9223372036854775808", "-9223372036854775808"), ValueCase("int8", "9007199254740993", "9007199254740993"),
        ValueCase("int8", "9223372036854775807.0", "9223372036854775807"), ValueCase("int8", "123456789012345678", "123456789012345678"),
        ValueCase("int8", "1234567890123456789", "1234567890123456789"), ValueCase("int8", "99999999999999999999999999999999999999999", "undecodable 22003"),
        ValueCase("int8", "\"9223372036854775807\"", "9223372036854775807"), ValueCase("int8", "12345678", "12345678"), ValueCase("int8", "123456789", "123456789"),
        ValueCase("float8", "0.1", "0.1"), ValueCase("float8", "1e22", "1e+22"), ValueCase("float8", "1e23", "9.999999999999999e+22"),
        ValueCase("float8", "9007199254740993", "9.007199254740992e+15"),
        ValueCase("float8", "1e400", "undecodable 22003"), ValueCase("float8", "1e-400", "undecodable 22003"), ValueCase("float8", "5e-324", "5e-324"),
        ValueCase("float8", "-0", "-0"),
        ValueCase("float8", "-0.0", "-0"), ValueCase("float8", "\"NaN\"", "NaN"), ValueCase("float8", "\"Infinity\"", "Infinity"), ValueCase("float8", "NaN", "undecodable 22P02"),
        ValueCase("float8", "Infinity", "undecodable 22P02"), ValueCase("float8", "true", "undecodable 22023"), ValueCase("float8", "0.30000000000000004", "0.30000000000000004"),
        ValueCase("float8", "123456.789", "123456.789"), ValueCase("float8", "\"1.5\"", "1.5"), ValueCase("float8", "0.00000000000000000000000000000001", "1e-32"),
        ValueCase("float4", "0.1", "0.1"), ValueCase("float4", "16777217", "1.6777216e+07"), ValueCase("float4", "1e39", "undecodable 22003"),
        ValueCase("float4", "1e-46", "undecodable 22003"),
        ValueCase("numeric", "1.50", "1.50"), ValueCase("numeric", "1e3", "1000"), ValueCase("numeric", "0.1", "0.1"), ValueCase("numeric", "-0", "0"),
        ValueCase("numeric", "1E-2", "0.01"),
        ValueCase("numeric", "9007199254740993.1", "9007199254740993.1"), ValueCase("numeric", "12345678901234567890.123456789", "12345678901234567890.123456789"),
        ValueCase("numeric", "123456789012345678901234567890123456789", "undecodable 22003"), ValueCase("numeric", "1e38", "undecodable 22003"),
        ValueCase("numeric", "\"NaN\"", "NaN"),
        ValueCase("numeric", "\"1e3\"", "1000"), ValueCase("numeric", "-1234567890123456789", "-1234567890123456789"), ValueCase("numeric", "false", "undecodable 22023"),
        ValueCase("numeric(5,2)", "123.456", "123.46"), ValueCase("numeric(5,2)", "999.994", "999.99"), ValueCase("numeric(5,2)", "999.995", "undecodable 22003"),
        ValueCase("numeric(5,2)", "1000", "undecodable 22003"), ValueCase("numeric(5,2)", "-0.005", "-0.01"), ValueCase("numeric(5,2)", "1", "1.00"),
        ValueCase("numeric(5,2)", "\"7.1\"", "7.10"),
        ValueCase("numeric(3)", "1.5", "2"), ValueCase("numeric(5,2)", "null", "NULL"),
        ValueCase("bool", "true", "t"), ValueCase("bool", "false", "f"), ValueCase("bool", "\"yes\"", "t"), ValueCase("bool", "\"maybe\"", "undecodable 22P02"),
        ValueCase("bool", "1", "undecodable 22023"),
        ValueCase("bool", "null", "NULL"), ValueCase("bool", "True", "undecodable 22P02"), ValueCase("bool", "tru", "undecodable 22P02"),
        ValueCase("bool", "truex", "undecodable 22P02"),
    ]

    @Test(arguments: numbers) func `numbers and truth values`(_ item: ValueCase) throws { try Self.check(item) }

    static let texts: [ValueCase] = [
        ValueCase("text", "\"\"", ""), ValueCase("text", "\"a\"", "a"), ValueCase("text", "\"null\"", "null"), ValueCase("text", "null", "NULL"), ValueCase("text", "1.50", "1.50"),
        ValueCase("text", "1E+05", "1E+05"), ValueCase("text", "true", "true"), ValueCase("text", "false", "false"), ValueCase("text", "[1, 2 ]", "[1, 2 ]"),
        ValueCase("text", "{\"b\":1,\"a\":[null]}", "{\"b\":1,\"a\":[null]}"), ValueCase("text", "\"\\u00e4\\ud83d\\ude00\\n\\/\"", "ä😀\n/"),
        ValueCase("text", "\"ä😀\"", "ä😀"), ValueCase("text", "\"\\u0000\"", "undecodable 22021"), ValueCase("text", "\"\\ud83d\"", "undecodable 22021"),
        ValueCase("text", "\"\\ude00\\ud83d\"", "undecodable 22021"), ValueCase("text", "\"\\ud83d\\u0041\"", "undecodable 22021"),
        ValueCase("text", "\"\\x\"", "undecodable 22P02"),
        ValueCase("text", "\"\t\"", "undecodable 22P02"), ValueCase("text", "'a'", "undecodable 22P02"), ValueCase("text", "\"a", "undecodable 22P02"),
        ValueCase("text", "\"0123456789abcdef0123456789abcdef\\\"\"", "0123456789abcdef0123456789abcdef\""), ValueCase("text", "\"\\\\\"", "\\"),
        ValueCase("varchar(3)", "\"abc\"", "abc"), ValueCase("varchar(3)", "\"abc  \"", "abc"), ValueCase("varchar(3)", "\"abcd\"", "undecodable 22001"),
        ValueCase("varchar(3)", "\"äöü\"", "äöü"),
        ValueCase("varchar(3)", "1234", "undecodable 22001"),
        ValueCase("bytea", "\"\\\\x6162\"", "\\x6162"), ValueCase("bytea", "\"ab\"", "\\x6162"), ValueCase("bytea", "\"\\\\xzz\"", "undecodable 22023"),
        ValueCase("bytea", "1", "undecodable 22023"),
        ValueCase("bytea", "\"\"", "\\x"),
        ValueCase("uuid", "\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\"", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), ValueCase("uuid", "\"x\"", "undecodable 22P02"),
        ValueCase("uuid", "7", "undecodable 22023"),
        ValueCase("jsonb", "{\"bb\": 1e3, \"a\": [1.50, null]}", "{\"a\": [1.50, null], \"bb\": 1000}"), ValueCase("jsonb", "\"a\"", "\"a\""), ValueCase("jsonb", "1.0", "1.0"),
        ValueCase("jsonb", "null", "NULL"), ValueCase("jsonb", "true", "true"), ValueCase("jsonb", "[null]", "[null]"), ValueCase("jsonb", "{\"a\":1,\"a\":2}", "{\"a\": 2}"),
        ValueCase("jsonb", "\"\\u0000\"", "undecodable 22P05"), ValueCase("jsonb", "\"\\ud800\"", "undecodable 22P02"), ValueCase("jsonb", "1e131072", "undecodable 22003"),
        ValueCase("jsonb", "\"\"", "\"\""), ValueCase("jsonb", "[]", "[]"), ValueCase("jsonb", "-0", "0"),
    ]

    @Test(arguments: texts) func `texts, bytes and documents`(_ item: ValueCase) throws { try Self.check(item) }

    static let times: [ValueCase] = [
        ValueCase("timestamptz", "\"2026-03-01T12:34:56.789Z\"", "2026-03-01 12:34:56.789+00"), ValueCase("timestamptz", "\"2026-03-01 12:34:56+02\"", "2026-03-01 10:34:56+00"),
        ValueCase("timestamptz", "\"2026-03-01T12:34:56.1234565-03:30\"", "2026-03-01 16:04:56.123456+00"),
        ValueCase("timestamptz", "\"20260301T123456Z\"", "2026-03-01 12:34:56+00"),
        ValueCase("timestamptz", "\"2026-03-01\"", "2026-03-01 00:00:00+00"), ValueCase("timestamptz", "\"2026-03-01T12:34\"", "2026-03-01 12:34:00+00"),
        ValueCase("timestamptz", "\"2026-03-01T23:59:60Z\"", "2026-03-02 00:00:00+00"), ValueCase("timestamptz", "\"2026-03-01T24:00:00Z\"", "2026-03-02 00:00:00+00"),
        ValueCase("timestamptz", "\"2026-03-01T24:00:01Z\"", "undecodable 22008"), ValueCase("timestamptz", "\"2026-02-29\"", "undecodable 22008"),
        ValueCase("timestamptz", "\"2024-02-29\"", "2024-02-29 00:00:00+00"), ValueCase("timestamptz", "\"2026-13-01\"", "undecodable 22008"),
        ValueCase("timestamptz", "\"0000-01-01\"", "undecodable 22008"), ValueCase("timestamptz", "\"0001-01-01T00:00:00Z\"", "0001-01-01 00:00:00+00"),
        ValueCase("timestamptz", "\"0001-01-01T00:00:00+01\"", "undecodable 22008"), ValueCase("timestamptz", "\"9999-12-31T23:59:59.999999Z\"", "9999-12-31 23:59:59.999999+00"),
        ValueCase("timestamptz", "\"9999-12-31T23:59:59.9999999Z\"", "undecodable 22008"), ValueCase("timestamptz", "\"9999-12-31T23:59:59-01\"", "undecodable 22008"),
        ValueCase("timestamptz", "\"infinity\"", "undecodable 22007"), ValueCase("timestamptz", "\"-infinity\"", "undecodable 22007"),
        ValueCase("timestamptz", "\"now\"", "undecodable 22007"),
        ValueCase("timestamptz", "\"\"", "undecodable 22007"), ValueCase("timestamptz", "\"3/1/2026\"", "undecodable 22007"),
        ValueCase("timestamptz", "\"12345-01-01\"", "undecodable 22007"),
        ValueCase("timestamptz", "\"2026-03-01T12:34:56Zx\"", "undecodable 22007"), ValueCase("timestamptz", "\"\\u0032026-03-01T00:00Z\"", "2026-03-01 00:00:00+00"),
        ValueCase("timestamptz", "\" 2026-03-01 \"", "2026-03-01 00:00:00+00"), ValueCase("timestamptz", "1700000000123", "2023-11-14 22:13:20.123+00"),
        ValueCase("timestamptz", "0", "1970-01-01 00:00:00+00"),
        ValueCase("timestamptz", "-1", "1969-12-31 23:59:59.999+00"), ValueCase("timestamptz", "1700000000123.4567", "2023-11-14 22:13:20.123456+00"),
        ValueCase("timestamptz", "-0.0001", "1969-12-31 23:59:59.999999+00"), ValueCase("timestamptz", "1.7e12", "2023-11-14 22:13:20+00"),
        ValueCase("timestamptz", "253402300799999", "9999-12-31 23:59:59.999+00"), ValueCase("timestamptz", "253402300800000", "undecodable 22008"),
        ValueCase("timestamptz", "-62135596800000", "0001-01-01 00:00:00+00"), ValueCase("timestamptz", "-62135596800001", "undecodable 22008"),
        ValueCase("timestamptz", "9223372036854775807", "undecodable 22008"), ValueCase("timestamptz", "1e400", "undecodable 22008"),
        ValueCase("timestamptz", "true", "undecodable 22023"),
        ValueCase("timestamptz", "\"1700000000123\"", "undecodable 22007"), ValueCase("timestamptz(3)", "\"2026-03-01T00:00:00.0005Z\"", "2026-03-01 00:00:00.001+00"),
        ValueCase("timestamp", "\"2026-03-01T12:34:56+02\"", "2026-03-01 12:34:56"), ValueCase("timestamp", "1700000000123", "2023-11-14 22:13:20.123"),
        ValueCase("date", "\"2026-03-01\"", "2026-03-01"), ValueCase("date", "\"2026-03-01T23:00:00-05\"", "2026-03-01"), ValueCase("date", "19000", "undecodable 22023"),
        ValueCase("date", "\"12:00\"", "undecodable 22007"), ValueCase("date", "\"20260301\"", "2026-03-01"),
        ValueCase("time", "\"12:34:56.5\"", "12:34:56.5"), ValueCase("time", "\"T1234\"", "12:34:00"), ValueCase("time", "45296500", "12:34:56.5"),
        ValueCase("time", "86400000", "24:00:00"),
        ValueCase("time", "86400001", "undecodable 22003"), ValueCase("time", "-1", "undecodable 22003"), ValueCase("time", "\"2026-03-01\"", "undecodable 22007"),
        ValueCase("time", "\"24:00\"", "24:00:00"),
        ValueCase("time", "\"25:00\"", "undecodable 22008"), ValueCase("time", "\"2026-03-01T12:34:56Z\"", "12:34:56"),
        ValueCase("interval", "\"1 day 2 hours\"", "1 day 02:00:00"), ValueCase("interval", "\"P1DT2H\"", "1 day 02:00:00"), ValueCase("interval", "1500", "00:00:01.5"),
        ValueCase("interval", "\"x\"", "undecodable 22007"),
    ]

    @Test(arguments: times) func `dates and times`(_ item: ValueCase) throws { try Self.check(item) }

    static let units: [(String, String, String)] = [
        ("s", "1700000000", "2023-11-14 22:13:20+00"), ("s", "1700000000.123456789", "2023-11-14 22:13:20.123456+00"), ("us", "1700000000000001", "2023-11-14 22:13:20.000001+00"),
        ("ns", "1700000000000001999", "2023-11-14 22:13:20.000001+00"), ("ns", "-1", "1969-12-31 23:59:59.999999+00"), ("ns", "1.5e18", "2017-07-14 02:40:00+00"),
        ("s", "1700000000000", "undecodable 22008"),
    ]

    @Test(arguments: units)
    func `numbers count in the declared unit`(_ unit: String, _ json: String, _ expected: String) throws {
        try Self.check(ValueCase("timestamptz", json, expected), options: "format = 'json', time_unit = '\(unit)'")
    }

    static let zones: [(String, String, String)] = [
        ("timestamptz", "\"2026-03-29T02:30:00\"", "2026-03-29 03:30:00+02"), ("timestamptz", "\"2026-07-01\"", "2026-07-01 00:00:00+02"),
        ("timestamptz", "\"2026-10-25T02:30:00\"", "2026-10-25 02:30:00+01"), ("timestamptz", "\"2026-07-01T00:00Z\"", "2026-07-01 02:00:00+02"),
        ("timestamp", "1782864000000", "2026-07-01 02:00:00"), ("timestamp", "\"2026-07-01T00:00Z\"", "2026-07-01 00:00:00"),
    ]

    @Test(arguments: zones)
    func `a time without a zone is of the zone of the job`(_ type: String, _ json: String, _ expected: String) throws {
        try Self.check(ValueCase(type, json, expected), zone: "Europe/Berlin")
    }

    static let lists: [ValueCase] = [
        ValueCase("int4[]", "[1, 2,3]", "{1,2,3}"), ValueCase("int4[]", "[]", "{}"), ValueCase("int4[]", "[ ]", "{}"), ValueCase("int4[]", "[1,null]", "{1,NULL}"),
        ValueCase("int4[]", "[1.5]", "undecodable 22P02"),
        ValueCase("int4[]", "[true]", "undecodable 22023"), ValueCase("int4[]", "null", "NULL"), ValueCase("int4[]", "1", "undecodable 22023"),
        ValueCase("int4[]", "\"{1}\"", "undecodable 22023"),
        ValueCase("int4[]", "[[1]]", "undecodable 22023"), ValueCase("int4[]", "[1,]", "undecodable 22P02"), ValueCase("int4[]", "[1 2]", "undecodable 22P02"),
        ValueCase("int4[]", "[1", "undecodable 22P02"),
        ValueCase("text[]", "[\"a\", 1, {\"x\": 1}]", "{a,1,\"{\\\"x\\\": 1}\"}"), ValueCase("jsonb[]", "[{\"b\":1}, null]", "{\"{\\\"b\\\": 1}\",NULL}"),
        ValueCase("numeric[]", "[1.50, \"2\", 1e2]", "{1.50,2,100}"), ValueCase("bool[]", "[true,false]", "{t,f}"),
        ValueCase("timestamptz[]", "[0, \"2026-03-01\"]", "{\"1970-01-01 00:00:00+00\",\"2026-03-01 00:00:00+00\"}"),
        ValueCase("uuid[]", "[\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\"]", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"), ValueCase("text[]", "{}", "undecodable 22023"),
    ]

    @Test(arguments: lists) func `lists of values`(_ item: ValueCase) throws { try Self.check(item) }

    @Test func `a long list grows over many chunks and keeps its NULLs`() throws {
        for type in ["numeric[]", "int8[]", "text[]", "bool[]"] {
            let rig = try DecodingRig("c \(type)", chunkRows: 3)
            let element = type == "bool[]" ? "true" : "7"
            let shown = type == "bool[]" ? "t" : "7"
            func list(_ count: Int, _ null: String, _ value: String) -> String {
                (0..<count).map { $0 % 3 == 0 ? null : value }.joined(separator: ",")
            }
            let records = (0..<10).map { (count: Int) -> TestRecord in TestRecord("{\"c\":[\(list(count * 40, "null", element))]}") }
            let decoded = try rig.decode(records)
            let expected = (0..<10).map { (count: Int) -> String? in "{\(list(count * 40, "NULL", shown))}" }
            #expect(decoded.rows.map { $0[0] } == expected)
        }
    }

    /// "text that the type's input takes": the words of the types' own input functions, right ones and wrong ones.
    static let inputs: [(type: SQLType, texts: [String])] = [
        (.bool, ["t", "T", "tr", "yes", "ON", "of", "off", "o", "1", "0", "2", "", " true ", "f ", "truex"]),
        (.int4, [" 12 ", "+5", "-0", "1.0", "1e3", "0x10", "", " ", "--1", "2147483648", "1 2", "１"]), (.int2, ["32767", "32768", "-32769"]),
        (.int8, ["9223372036854775807", "9223372036854775808", "-9223372036854775809"]),
        (.float8, ["1e400", "nan", "inf", "+Infinity", " 1.5 ", ".5", "5.", "1e", "0x1p3", "", "infinit", "1e-400"]), (.float4, ["1e39", "0.1", "1e-46", "16777217"]),
        (.numeric, ["1.", ".5", ".", "", "1e3", "nan", "inf", "00012.3400", "1e37", "1e38", "1_000", " 7 ", "0e10", "123456789012345678901234567890123456789"]),
        (.bytea, ["\\x", "\\x6", "\\x 61 62", "\\xzz", "abc", "a\\\\b", "\\001\\377", "\\400", "ä"]),
        (
            .uuid,
            [
                "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A1f", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1-", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1`", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1@",
                "----------------------------------36", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g", "ffffffff-ffff-ffff-ffff-ffffffffffff", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
                "a0eebc999c0b4ef8bb6d6bb9bd380a11", "", "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            ]
        ),
        (.interval, ["1", "1.5 hours", "1:30", "P1Y2M3DT4H5M6.7S", "P", "1 day ago", "x", "", "infinity", "178956971 years"]),
    ]

    @Test func `a text becomes what the type's input takes`() throws {
        for (type, texts) in Self.inputs {
            let rig = try DecodingRig("c \(type.name)")
            for text in texts {
                let json = "\"" + text.replacing("\\", with: "\\\\") + "\""
                var expected: String
                do { expected = TypeText.text(try TypeText.read(text, as: type, context: EvaluationContext()), as: type) ?? "NULL" } catch {
                    expected = "undecodable \(error.sqlState)"
                }
                #expect(try rig.one(TestRecord("{\"c\":\(json)}")) == expected, "\(type.name) of \(text)")
            }
        }
    }

    /// Whether it is of the years that a column holds.
    private static func isHeld(_ value: Datum, _ type: SQLType) -> Bool {
        guard type != .date, case .word(let micros) = value else { return true }
        return micros >= -62_135_596_800_000_000 && micros <= 253_402_300_799_999_999
    }

    @Test func `ISO 8601 means what the type's input reads in it`() throws {
        let dates = [
            "2026-03-01", "20260301", "2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "2026-04-31", "2026-12-31", "0001-01-01", "9999-12-31", "2026-00-10", "2026-01-00",
        ]
        let clocks = [
            "", "T12:34", "T12:34:56", " 12:34:56.7", "T12:34:56.123456", "T12:34:56.1234565", "T12:34:56.1234575", "T12:34:56.12345651", "T123456", "T1234", "T123456.5",
            "T23:59:60",
            "T24:00:00", "T24:00:01", "T25:00:00", "T12:60:00", "T12:34:61", "T00:00:00.9999999",
        ]
        let zones = ["", "Z", "+02", "-0330", "+05:30", "+15:59", "+16", "-15:59:59", "+02:60", " +01", " Z"]
        let context = EvaluationContext(zone: try Zone.named("America/New_York"))
        for type: SQLType in [.timestamptz, .timestamp, .date] {
            let rig = try DecodingRig("c \(type.name)", zone: "America/New_York")
            for date in dates {
                for clock in clocks {
                    for zone in zones where !clock.isEmpty || zone.isEmpty {
                        // PostgreSQL takes `12:34:56-15:59:59` and not `123456-15:59:59`; both are taken here.
                        if zone == "-15:59:59" && !clock.contains(":") && !clock.contains(".") { continue }
                        let text = date + clock + zone
                        let found = try rig.one(TestRecord("{\"c\":\"\(text)\"}"))
                        guard let value = try? TypeText.read(text, as: type, context: context), let read = TypeText.text(value, as: type, context: context) else {
                            #expect(found.hasPrefix("undecodable"), "\(type.name) of \(text)")
                            continue
                        }
                        #expect(found == (Self.isHeld(value, type) ? read : "undecodable 22008"), "\(type.name) of \(text)")
                    }
                }
            }
        }
    }

    @Test func `a document becomes what CAST(... AS jsonb) makes`() throws {
        let rig = try DecodingRig("c jsonb")
        var random = TestRandom(seed: 7)
        for _ in 0..<2000 {
            let json = random.json(depth: 4)
            var expected: String
            do { expected = TypeText.text(try TypeText.read(json, as: .jsonb, context: EvaluationContext()), as: .jsonb)! } catch { expected = "undecodable \(error.sqlState)" }
            // The field itself is NULL then.
            if expected == "null" { expected = "NULL" }
            #expect(try rig.one(TestRecord("{\"c\": \(json)}")) == expected, "\(json)")
        }
    }
}
