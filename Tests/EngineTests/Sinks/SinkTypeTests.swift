// Columns of PostgreSQL's types: every one in and out, as values, as keys, as witnesses, and in the check of a table that is there.

import Engine
import TestSupport
import Testing

@Suite(.waits) struct SinkTypeTests {
    /// Type, form in memory, and values: the least, the greatest, a special one.
    static let types: [(type: String, form: ValueType, values: [Value])] = [
        ("smallint", .int64, [.int64(-32768), .int64(32767), .int64(0)]),
        ("integer", .int64, [.int64(-2_147_483_648), .int64(2_147_483_647), .int64(0)]),
        ("bigint", .int64, [.int64(.min), .int64(.max), .int64(0)]),
        ("numeric", .text, [.text("-99999999999999999999999999999999999999.000001"), .text("Infinity"), .text("NaN")]),
        ("numeric(12,2)", .text, [.text("-9999999999.99"), .text("9999999999.99"), .text("0.00")]),
        ("real", .float64, [.float64(Double(-Float.greatestFiniteMagnitude)), .float64(Double(0.1 as Float)), .float64(.infinity)]),
        ("double precision", .float64, [.float64(-.greatestFiniteMagnitude), .float64(0.1), .float64(-.infinity)]),
        ("boolean", .bool, [.bool(false), .bool(true)]),
        ("timestamp with time zone", .text, [.text("4714-11-24 00:00:00+00 BC"), .text("294276-12-31 23:59:59.999999+00"), .text("infinity")]),
        ("timestamp without time zone", .text, [.text("4714-11-24 00:00:00 BC"), .text("294276-12-31 23:59:59.999999"), .text("-infinity")]),
        ("date", .text, [.text("4714-11-24 BC"), .text("5874897-12-31"), .text("infinity")]),
        ("time without time zone", .text, [.text("00:00:00"), .text("24:00:00"), .text("12:00:00.000001")]),
        ("interval", .text, [.text("-178000000 years"), .text("178000000 years"), .text("1 year 2 mons -3 days +04:05:06.7")]),
        (
            "uuid", .text,
            [.text("00000000-0000-0000-0000-000000000000"), .text("ffffffff-ffff-ffff-ffff-ffffffffffff"), .text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]
        ),
        ("jsonb", .text, [.text("null"), .text(#"{"a": [1, null, "ü\""]}"#), .text("1.10")]),
        ("bytea", .text, [.text("\\x"), .text("\\x00ff5c27"), .text("\\xdeadbeef")]),
        ("text", .text, [.text(""), .text("☃ '\\ \n"), .text("NULL")]),
        ("character varying(5)", .text, [.text(""), .text("abcde"), .text("ab ")]),
        ("character(3)", .text, [.text("   "), .text("abc"), .text("a  ")]),
        ("integer[]", .text, [.text("{}"), .text("{1,NULL,-3}"), .text("{{1,2},{3,4}}")]),
        ("text[]", .text, [.text("{}"), .text(#"{a,"b c",NULL,"NULL"}"#), .text(#"{"\"",""}"#)]),
        ("numeric(4,1)[]", .text, [.text("{}"), .text("{1.5,NULL}"), .text("{-999.9}")]),
        ("character varying(3)[]", .text, [.text("{}"), .text("{abc,NULL}"), .text(#"{"a b"}"#)]),
        ("bit(3)", .text, [.text("000"), .text("101"), .text("111")]),
    ]

    static let wide = SinkTable(
        name: "wide",
        schema: Schema(
            [Field("k", .int64, sqlType: "integer")]
                + types.enumerated().map { Field("c\($0)", $1.form, nullable: true, sqlType: $1.type) }), key: ["k"], mode: .keyedUpsert)

    private func wideRow(_ key: Int64, _ choice: Int?) -> [Value] {
        [.int64(key)] + Self.types.map { type in choice.map { type.values[$0 % type.values.count] } ?? .null }
    }

    @Test(arguments: SinkKind.allCases)
    func `values of every type come back as they went in, and the witness is one of them`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        let table = Self.wide
        let sink = try place.claimed(table, table.identity())
        let all = [wideRow(1, nil), wideRow(3, 2), wideRow(-2_147_483_648, 0), wideRow(2_147_483_647, 1)]
        let chunk = rows(table, all)
        #expect(try sink.seal(table.identity(), part: 0, batch: 1, digest: "1", rows: [chunk]) == .written)
        for (found, wanted) in zip(try sink.existing(keysOf: chunk), all) {
            for (index, type) in Self.types.enumerated() { #expect(found?[index + 1] == wanted[index + 1], "\(type.type)") }
        }
        // Written again they are the same rows, and found as witness with all their columns.
        #expect(try sink.seal(table.identity(), part: 0, batch: 2, digest: "2", rows: [chunk]) == .written)
        #expect(try place.ask("SELECT count(*) FROM wide") == [[.int(4)]])
        #expect(try place.open(table).sight(table.identity())?.parts[0]?.witness == .found)
        try place.open(table).claim(table.identity(epoch: 2), SinkClaim(after: 2))
        guard kind == .postgres else { return }
        let types = try place.ask(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'wide'::regclass AND attnum > 1 ORDER BY attnum")
        #expect(types.map { $0[0] } == Self.types.map { .text($0.type) })
        // Rewritten it is another table by its file, so that all of the row is compared.
        try place.run("VACUUM FULL wide")
        #expect(try place.open(table).sight(table.identity())?.isSameTable == false)
        #expect(try place.open(table).sight(table.identity())?.parts[0]?.witness == .found)
        #expect(
            try place.open(table).seal(table.identity(epoch: 2), part: 0, batch: 3, digest: "3", rows: [rows(table, [wideRow(1, 0)])]) == .written)
        #expect(try place.ask("SELECT count(*) FROM wide WHERE c0 = -32768 AND c3 < 0") == [[.int(2)]])
    }

    @Test(arguments: SinkKind.allCases)
    func `rows of every type are found and deleted by a key of that type`(kind: SinkKind) throws {
        let place = try SinkPlace(kind)
        for (number, type) in Self.types.enumerated() {
            for nullable in [false, true] {
                let table = SinkTable(
                    name: "by_\(number)_\(nullable)",
                    schema: Schema([Field("v", .int64, sqlType: "smallint"), Field("k", type.form, nullable: nullable, sqlType: type.type)]),
                    key: ["k"], mode: .keyedUpsert)
                let sink = try place.claimed(table, table.identity())
                let keys = type.values + (nullable ? [.null] : [])
                let all = keys.enumerated().map { [Value.int64(Int64($0)), $1] }
                for batch: Int64 in 1...2 {
                    #expect(try sink.seal(table.identity(), part: 0, batch: batch, digest: "d", rows: [rows(table, all)]) == .written, "\(type.type)")
                }
                #expect(try sink.existing(keysOf: rows(table, all)) == all.map(Optional.some), "\(type.type)")
                let gone = deleted(table, keys.dropFirst().map { [$0] })
                #expect(try sink.seal(table.identity(), part: 0, batch: 3, digest: "d", rows: [gone]) == .written)
                #expect(try sink.existing(keysOf: rows(table, all)) == [all[0]] + keys.dropFirst().map { _ in nil }, "\(type.type)")
                #expect(try place.ask("SELECT count(*) FROM \(table.name)") == [[.int(1)]], "\(type.type)")
                try place.open(table).claim(table.identity(epoch: 1), SinkClaim(after: 3))
            }
        }
    }

    @Test func `a value that its column does not take is a refused row, and one that is too long is not cut`() throws {
        let place = try SinkPlace(.postgres)
        let table = Self.wide
        let sink = try place.claimed(table, table.identity())
        var all = (0..<30).map { wideRow(Int64($0), 1) }
        let wrong: [(type: String, value: Value)] = [
            ("numeric", .text("abc")), ("smallint", .int64(32768)), ("character varying(5)", .text("abcdef")), ("character(3)", .text("abcd")),
            ("date", .text("2026-02-30")), ("uuid", .text("")), ("jsonb", .text("{")), ("numeric(12,2)", .text("1e10")), ("real", .float64(1e300)),
            ("character varying(3)[]", .text("{abcd}")), ("bit(3)", .text("10")),
        ]
        for (number, wrong) in wrong.enumerated() {
            all[number * 2][1 + Self.types.firstIndex { $0.type == wrong.type }!] = wrong.value
        }
        let sealed = try sink.seal(table.identity(), part: 0, batch: 2, digest: "d", rows: [rows(table, all)])
        #expect(sealed == Sealed(.written, refused: Int64(wrong.count)))
        #expect(try place.ask("SELECT number FROM sluice_refused ORDER BY number") == wrong.indices.map { [.int(Int64($0) * 2)] })
        #expect(try place.ask("SELECT count(*) FROM wide") == [[.int(Int64(30 - wrong.count))]])
    }

    @Test func `a table that is there has the types of the job, or is refused with both`() throws {
        func claimed(_ found: String, _ ours: String, _ form: ValueType = .text) throws -> Failure? {
            let place = try SinkPlace(.postgres)
            let table = SinkTable(
                name: "t", schema: Schema([Field("k", .int64), Field("v", form, sqlType: ours)]), key: ["k"], mode: .keyedUpsert)
            try place.run("CREATE TABLE t (k bigint PRIMARY KEY, v \(found))")
            return failure { try place.open(table).claim(table.identity(), adopt: false) }
        }
        for type in ["text", "character varying", "character varying(20)"] { #expect(try claimed(type, "text") == nil) }
        #expect(try claimed("numeric(12,2)", "numeric(12,2)") == nil)
        #expect(try claimed("bigint", "integer", .int64) == nil)
        for (found, ours) in [
            ("numeric", "numeric(12,2)"), ("numeric(12,2)", "numeric"), ("text", "jsonb"), ("json", "jsonb"), ("character varying(20)[]", "text"),
            ("timestamp without time zone", "timestamp with time zone"), ("character(20)", "text"),
        ] {
            let seen = try #require(try claimed(found, ours), "\(found) \(ours)")
            #expect(seen.code == .sinkMismatch && seen.why.contains("v \(found)") && seen.why.contains("v \(ours)"), "\(seen)")
        }
    }

    @Test(arguments: [
        ("numeric(12,2); DROP TABLE t", ValueType.text), ("numeric) --", .text), ("text\"", .text), ("text/**/", .text), ("", .text), ("text ", .text),
        ("Text", .text), ("numeric(,)", .text), ("numeric(1--2)", .text), ("integer", .text), ("text", .int64), ("boolean", .text),
        ("real[]", .float64), ("numeric", .float64), ("timestamp with time zone", .int64), ("te\u{301}xt", .text),
    ])
    func `what is no type, or has another form, never reaches a statement`(type: String, form: ValueType) throws {
        let table = SinkTable(name: "t", schema: Schema([Field("v", form, sqlType: type)]), key: [], mode: .append)
        for kind in SinkKind.allCases {
            #expect(failureCode { try SinkPlace(kind).open(table) } == .invalidSetting, "\(type)")
        }
    }
}
