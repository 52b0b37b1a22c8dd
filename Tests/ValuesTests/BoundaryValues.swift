// Values at which functions go wrong: ends of ranges, zeros, signs, halves, empty, long, several bytes a character, leap days.

import Values

enum BoundaryValues {
    /// Texts that PostgreSQL's input of the type takes.
    static func texts(_ type: SQLType) -> [String] {
        switch type {
        case .bool: ["true", "false"]
        case .int2: ["0", "1", "-1", "2", "7", "-7", "100", "32767", "-32768"]
        case .int4: ["0", "1", "-1", "2", "3", "-5", "10", "31", "33", "65", "233", "2026", "2147483647", "-2147483648"]
        case .int8:
            ["0", "1", "-1", "2", "-3", "60", "1000000", "4294967296", "9223372036854775807", "-9223372036854775808", "9007199254740993"]
        case .float4:
            ["0", "-0", "1", "-1", "0.1", "2.5", "-0.5", "1e10", "3.4028235e38", "-3.4028235e38", "1e-45", "16777217", "123456.7", "NaN", "Infinity", "-Infinity"]
        case .float8:
            [
                "0", "-0", "1", "-1", "0.1", "0.5", "1.5", "2.5", "-0.5", "3.7", "-2.5", "1e15", "123456789012345680", "1e-5", "0.0001", "1e22",
                "1.7976931348623157e308", "-1.7976931348623157e308", "5e-324", "710", "-750", "1772366400.123456", "NaN", "Infinity", "-Infinity",
            ]
        case .numeric:
            [
                "0", "0.00", "1", "-1", "1.50", "2.5", "-2.5", "0.05", "3", "7", "100", "1000.0", "12345.678900", "-0.001", "99999.99999",
                "0.000000000000000001", "12345678901234567890", "99999999999999999999999999999999999999", "-3.333333333333333333", "NaN", "Infinity",
                "-Infinity", "0.5", "32767.5", "9223372036854775807.5",
            ]
        case .text:
            [
                "", "a", "abc", "ABC", " padded ", "a%b_c", "abcabc", "ä", "Straße", "日本語", "a,b,,c", ",", "%", "_b%", "\\", "a\\%", "x'y\"z", "10", "-5.5",
                "😀 smile", "O’Neil mc-donald", "b",
            ]
        case .bytea: ["", "\\x00", "\\x616263", "\\xdeadbeef", "\\x62", "\\x0102030405060708090a0b0c0d0e0f"]
        case .date: ["1970-01-01", "2000-02-29", "2024-02-29", "2026-03-31", "1999-12-31", "0001-01-01", "9999-12-31", "0044-03-15 BC", "2021-01-03", "2020-12-28"]
        case .time: ["00:00:00", "12:34:56.789", "23:59:59.999999", "24:00:00", "04:05:06", "11:59:59.5"]
        case .timestamp:
            [
                "1970-01-01 00:00:00", "2000-02-29 12:00:00", "2026-03-29 02:30:00", "2026-10-25 02:30:00", "2026-03-31 23:59:59.999999",
                "1969-12-31 23:59:59.5", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "0100-06-15 08:09:10.000001 BC", "2024-01-31 10:11:12.131415",
                "2026-11-01 01:30:00",
            ]
        case .timestamptz:
            [
                "1970-01-01 00:00:00+00", "2000-02-29 12:00:00+00", "2026-03-29 00:59:59+00", "2026-03-29 01:00:00+00", "2026-10-25 00:30:00+00",
                "2026-10-25 01:30:00+00", "1969-12-31 23:59:59.5+00", "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00",
                "2040-07-01 12:00:00+00", "1900-01-01 00:00:00+00", "2024-01-31 10:11:12.131415+00",
            ]
        case .interval:
            [
                "0", "1 day", "24 hours", "1 mon", "30 days", "-1 day", "1 year 2 mons 3 days 04:05:06.789", "-1 year -2 mons +3 days -04:05:06.7", "15 minutes",
                "00:00:00.000001", "1 day -00:00:01", "-2 hours", "100 years", "1 mon -1 day", "35 days 25:00:00",
            ]
        case .uuid:
            ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"]
        case .jsonb:
            [
                "null", "true", "false", "0", "1.0", "1.00", "-12.5e2", "\"abc\"", "\"\"", "[]", "{}", "[1, 2, 3]", "[\"a\", null, {\"b\": [1]}]",
                "{\"a\": 1, \"b\": {\"c\": [10, 20, null]}, \"\": \"x\"}", "{\"bb\": 1, \"a\": \"a\\n\\\"q\\\"\\u0001\"}", "{\"a\": {\"b\": \"ä😀\"}}", "[[1, 2], [3]]", "\"10\"",
            ]
        case .list(.text): ["{}", "{a}", "{a,b}", "{b,c,1}", "{0}", "{-1}", "{a,b,c}", "{NULL}", "{\"\"}", "{2,b,0}"]
        case .unknown, .list, .row: []
        }
    }

    /// What a function's argument takes beside the type's own values: units, zones, encodings, small counts.
    static func extra(_ name: String, _ place: Int, _ type: SQLType) -> [String] {
        switch (name, place) {
        case ("timezone", 0) where type == .interval: ["05:30", "-08:00", "00:00:30.7", "1 day"]
        case ("date_trunc", 0), ("extract", 0), ("date_part", 0):
            [
                "microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century", "millennium",
                "julian", "isoyear", "dow", "isodow", "doy", "epoch", "timezone", "timezone_hour", "timezone_minute", "YEAR", "fortnight",
            ]
        case ("timezone", 0), ("date_trunc", 2): ["UTC", "Europe/Berlin", "america/new_york", "Asia/Kolkata", "PST", "Australia/Lord_Howe", "Nowhere/At_All", "Africa/Monrovia"]
        case ("encode", 1), ("decode", 1): ["hex", "base64", "escape", "HEX", "rot13"]
        case ("decode", 0): ["6162", "YWJj", "6", "a\\000b", "zz", "YW Jj", "Y", "YQ=="]
        case ("make_date", _), ("make_timestamp", 0...2): ["12", "29", "31", "-44"]
        case ("like_escape", 1): ["#", "##", "\\"]
        default: []
        }
    }
}
