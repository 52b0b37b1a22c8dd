// What users of other engines report about their decoders, tried here. Each name is the symptom; where it was reported stands beside it.

import Dataflow
import Decoding
import Testing
import Values

struct OtherEngineTests {
    /// RisingWave #10481, ksql #2551.
    @Test func `a field in upper case leaves its column NULL, unless the column is written so`() throws {
        let rig = try DecodingRig("l_orderkey int8, \"L_PARTKEY\" int8")
        #expect(try rig.decode(["{\"L_ORDERKEY\":1,\"L_PARTKEY\":2}"]).rows == [[nil, "2"]])
    }

    /// RisingWave #8894.
    @Test func `names inside a document keep their case`() throws {
        #expect(try DecodingRig("doc jsonb").one("{\"doc\":{\"blockNumber\":1,\"blocknumber\":2}}") == "{\"blockNumber\": 1, \"blocknumber\": 2}")
    }

    /// RisingWave #22148: a row of NULLs.
    @Test func `an empty record is no row of NULLs`() throws {
        let decoded = try DecodingRig("id int4, foo text").decode(["{\"id\":1,\"foo\":\"a\"}", "", "\n", "{\"id\":2}"])
        #expect(decoded.rows == [["1", "a"], ["2", nil]])
        #expect(decoded.counts[.undecodable] == 2)
    }

    /// RisingWave #5481.
    @Test func `nine digits behind the second are a timestamp`() throws {
        #expect(try DecodingRig("t timestamp").one("{\"t\":\"2022-09-21 09:45:47.387344020\"}") == "2022-09-21 09:45:47.387344")
    }

    /// RisingWave #16265: the unit was guessed by the size of the number.
    @Test func `the unit of a number is not guessed`() throws {
        let rig = try DecodingRig("t timestamptz")
        #expect(try rig.one("{\"t\":99999999}") == "1970-01-02 03:46:39.999+00")
        #expect(try rig.one("{\"t\":1700000000}") == "1970-01-20 16:13:20+00")
    }

    /// FLINK-33507.
    @Test func `a zero date of MySQL fails its column alone`() throws {
        let record: TestRecord = "{\"a\":1,\"t\":\"0000-00-00 00:00:00\",\"b\":2}"
        #expect(try DecodingRig("a int4, t timestamp, b int4", onError: .null).decode([record]).rows == [["1", nil, "2"]])
        #expect(try DecodingRig("t timestamp").one(record) == "undecodable 22008")
        #expect(try DecodingRig("a int4, b int4").decode([record]).rows == [["1", "2"]])
    }

    /// FLINK-36549: errors of whoever takes the rows were swallowed with those of the format.
    @Test func `an error of whoever takes the rows is no error of a record`() throws {
        struct Taken: Error {}
        let rig = try DecodingRig("a int4", onError: .null)
        let bytes = Array("{\"a\":1}".utf8)
        #expect(throws: Taken.self) {
            try bytes.withUnsafeBufferPointer { bytes in
                let record = SourceRecord(value: bytes.baseAddress!, valueCount: bytes.count, offset: 0)
                try [record].withUnsafeBufferPointer { records in
                    _ = try rig.decoder.decode(SourceRun(topic: "t", partition: 0, records: records), batchTime: 0) { _ in throw Taken() }
                }
            }
        }
    }

    /// Databend #6515: what stood behind a wrong date was read as the next value.
    @Test func `what stands behind a wrong value is read as what it is`() throws {
        let rig = try DecodingRig("id int4, t timestamptz, info text", onError: .null)
        #expect(
            try rig.decode(["{\"id\":1,\"t\":\"2026-99-99\\\"\",\"info\":\"x\"}", "{\"id\":2,\"t\":\"2026-01-01\",\"info\":\"y\"}"]).rows == [
                ["1", nil, "x"], ["2", "2026-01-01 00:00:00+00", "y"],
            ])
    }

    /// cudf-spark #10460, SPARK-16434: 1.0 was NULL for integers, or not, by the way it was read.
    @Test func `1.0 is an integer in a field, in a list and in a key`() throws {
        #expect(try DecodingRig("a int4").one("{\"a\":1.0}") == "1")
        #expect(try DecodingRig("a int4[]").one("{\"a\":[1.0,2e0]}") == "{1,2}")
        #expect(
            try DecodingRig("a int4 PRIMARY KEY", "format = 'json', mode = 'upsert', key_format = 'json'").decode([TestRecord(key: "{\"a\":1.0}", "{\"a\":1}")]).rows == [["1"]])
    }

    /// SPARK-21610: whether a record was corrupt depended on the columns chosen.
    @Test func `a broken record is broken for every query`() throws {
        for reads in [["a"], ["b"], ["source_offset"]] {
            let decoded = try DecodingRig("a int4, b int4", reads: reads).decode(["{\"a\":1,\"b\":2", "{\"a\":1,\"b\":2}"])
            #expect(decoded.records == [1])
        }
    }

    /// ClickHouse #98070.
    @Test func `seconds with a fraction are a time`() throws {
        #expect(try DecodingRig("ts timestamptz", "format = 'json', time_unit = 's'").one("{\"ts\":1602756000.123}") == "2020-10-15 10:00:00.123+00")
    }

    /// Materialize #25178.
    @Test func `a time with an offset is not taken for one in UTC`() throws {
        #expect(try DecodingRig("t timestamptz").one("{\"t\":\"2024-02-12T21:31:21-05:00\"}") == "2024-02-13 02:31:21+00")
    }

    /// Numbers that go through a double on their way lose digits: 2^53 + 1, cents, long decimals.
    @Test func `no exact number goes through a double`() throws {
        #expect(try DecodingRig("n numeric").one("{\"n\":0.1000000000000000055511151231257827}") == "0.1000000000000000055511151231257827")
        #expect(try DecodingRig("n numeric(38,18)").one("{\"n\":12345678901234567890.123456789012345678}") == "12345678901234567890.123456789012345678")
        #expect(try DecodingRig("n int8").one("{\"n\":9007199254740993.0}") == "9007199254740993")
        #expect(try DecodingRig("n jsonb").one("{\"n\":9007199254740993}") == "9007199254740993")
        #expect(try DecodingRig("n text").one("{\"n\":1.10}") == "1.10")
    }

    /// An empty text was NULL for numbers and times (CSV's custom in JSON).
    @Test func `an empty text is a text, and no number, time or document`() throws {
        #expect(try DecodingRig("a text").one("{\"a\":\"\"}") == "")
        for type in ["int4", "float8", "numeric", "bool", "timestamptz", "date", "time", "interval", "uuid"] {
            #expect(try DecodingRig("a \(type)").one("{\"a\":\"\"}").hasPrefix("undecodable"), "\(type)")
        }
    }

    // MARK: Avro

    private static func avro(_ type: String, _ column: String) throws -> DecodingRig {
        try DecodingRig("c \(column)", "format = 'avro'", schemas: [AvroWriterSchema(text: "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"c\",\"type\":\(type)}]}")])
    }

    /// ksql #592, #577; schema-registry #394, #558: null behind its type, enums in unions, two enums, enums that Connect wrote as texts.
    @Test func `nullable enums, with null in front or behind, and beside texts`() throws {
        let colors = "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"DEV\",\"PROD\"]}"
        #expect(try Self.avro("[\"null\",\(colors)]", "text").one(AvroBytes.branch(1, .long(1)).framed()) == "PROD")
        #expect(try Self.avro("[\(colors),\"null\"]", "text").one(AvroBytes.branch(1).framed()) == "NULL")
        let mixed = try Self.avro("[\(colors),\"string\"]", "text")
        #expect(try mixed.one(AvroBytes.branch(0, .long(0)).framed()) == "DEV")
        #expect(try mixed.one(AvroBytes.branch(1, .text("other")).framed()) == "other")
        let connect = "[\"null\",{\"type\":\"string\",\"connect.parameters\":{\"io.confluent.connect.avro.Enum\":\"E\"},\"connect.name\":\"org.example.E\"}]"
        #expect(try Self.avro(connect, "text").one(AvroBytes.branch(1, .text("VAL_0")).framed()) == "VAL_0")
        #expect(try Self.avro(connect, "jsonb").one(AvroBytes.branch(1, .text("VAL_0")).framed()) == "\"VAL_0\"")
    }

    /// A decimal was taken for its bytes, or went through a double.
    @Test func `a decimal of Avro is exact, and never its bytes`() throws {
        let decimal = "[\"null\",{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":38,\"scale\":18}]"
        #expect(try Self.avro(decimal, "numeric(38,18)").one(AvroBytes.branch(1, .blob([0x0D, 0xE0, 0xB6, 0xB3, 0xA7, 0x64, 0x00, 0x01])).framed()) == "1.000000000000000001")
        #expect(throws: DecodingError.self) { try Self.avro(decimal, "bytea") }
    }
}
