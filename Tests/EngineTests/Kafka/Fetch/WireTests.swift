// The protocol's primitives and answers, from bytes written by hand.

import Engine
import Testing

/// Runs `body` over the bytes.
func reading<Result>(_ bytes: [UInt8], _ body: (inout WireCursor) throws -> Result) rethrows -> Result {
    try bytes.withUnsafeBytes { raw in
        var cursor = WireCursor(raw)
        return try body(&cursor)
    }
}

struct WireTests {
    @Test func `numbers are read in the network's order and never past the end`() throws {
        let bytes: [UInt8] = [0x01, 0x02, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 7, 9]
        try reading(bytes) { (cursor: inout WireCursor) throws in
            #expect(try cursor.int16() == 0x0102)
            #expect(try cursor.int32() == -2)
            #expect(try cursor.int64() == 7)
            #expect(cursor.left == 1)
            #expect(throws: WireError.incomplete) { try cursor.int16() }
            #expect(try cursor.int8() == 9)
            #expect(throws: WireError.incomplete) { try cursor.int8() }
        }
    }

    @Test(
        arguments: [
            ([0x00], 0), ([0x7f], 127), ([0x80, 0x01], 128), ([0xff, 0xff, 0xff, 0xff, 0x07], Int(Int32.max)),
        ] as [([UInt8], Int)])
    func `unsigned varints`(bytes: [UInt8], value: Int) throws {
        #expect(try reading(bytes) { try $0.unsignedVarint() } == value)
        var request = WireRequest()
        request.unsignedVarint(value)
        #expect(request.bytes == bytes)
    }

    @Test(arguments: [[0xff, 0xff, 0xff, 0xff, 0x0f], [0x80, 0x80, 0x80, 0x80, 0x80, 0x01]] as [[UInt8]])
    func `a varint that is no length is malformed`(bytes: [UInt8]) {
        #expect { try reading(bytes) { try $0.unsignedVarint() } } throws: { error in
            if case WireError.malformed = error { true } else { false }
        }
    }

    @Test func `a count that the bytes cannot hold is refused before anything is made by it`() {
        #expect(throws: WireError.incomplete) { try reading([0x7f, 0xff, 0xff, 0xff, 0, 0]) { try $0.count(false, elementBytes: 1) } }
        #expect(throws: (any Error).self) { try reading([0xff, 0xff, 0xff, 0xfe]) { try $0.claimedCount(false) } }
    }

    @Test func `tagged fields are passed, known or not, and one that is cut is malformed`() throws {
        // Two fields: 0 of two bytes, 9 of one; then a byte that follows.
        let bytes: [UInt8] = [2, 0, 2, 0, 5, 9, 1, 1, 42]
        var seen: Int16 = 0
        try reading(bytes) { (cursor: inout WireCursor) throws in
            try cursor.tags(true) { tag, field throws(WireError) in if tag == 0 { seen = try field.int16() } }
            #expect(try cursor.int8() == 42)
        }
        #expect(seen == 5)
        #expect(throws: WireError.malformed("tagged field 0 is cut")) {
            try reading(bytes) { cursor in try cursor.tags(true) { _, field throws(WireError) in _ = try field.int64() } }
        }
    }

    @Test func `a broker that does not know the version of ApiVersions is asked in version 0`() throws {
        // Error 35 with the list of version 0, which says what version 0 would.
        let refusal: [UInt8] = [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 2]
        #expect(try reading(refusal) { try BrokerVersions.answer(&$0, version: 3) } == .askInVersion0)
        let old: [UInt8] = [0, 0, 0, 0, 0, 2, 0, 1, 0, 4, 0, 11, 0, 3, 0, 0, 0, 8]
        guard case .versions(let versions) = try reading(old, { try BrokerVersions.answer(&$0, version: 0) }) else {
            Issue.record("no versions")
            return
        }
        #expect(versions.version(.fetch) == 11)
        #expect(versions.version(.metadata) == 8)
        #expect(versions.lacking() == "it has no version of listOffsets from 1 to 7")
    }

    @Test(arguments: [
        ("a:1,b:2", [BrokerAddress(host: "a", port: 1), BrokerAddress(host: "b", port: 2)]),
        ("PLAINTEXT://a:1 , b", [BrokerAddress(host: "a", port: 1), BrokerAddress(host: "b", port: 9092)]),
        ("[::1]:9,[::2]", [BrokerAddress(host: "::1", port: 9), BrokerAddress(host: "::2", port: 9092)]),
    ]) func `bootstrap addresses`(text: String, addresses: [BrokerAddress]) {
        #expect(BrokerAddress.list(text) == addresses)
    }

    @Test func `every length has the checksum that the slow way gives`() {
        var random: UInt64 = 88_172_645_463_325_252
        let bytes = (0..<20_000).map { _ -> UInt8 in
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            return UInt8(truncatingIfNeeded: random)
        }
        for count in Array(0..<70) + [1023, 3071, 3072, 3073, 6144, 9999, 20_000] {
            bytes[..<count].withUnsafeBytes { #expect(CRC32C.of($0) == CRC32C.byTable($0), "\(count) bytes") }
        }
        Array("123456789".utf8).withUnsafeBytes { #expect(CRC32C.of($0) == 0xe306_9283) }
    }

    @Test(arguments: [
        (Int16(0), FetchTrouble.none), (1, .askLeader), (2, .onceAgain), (3, .unknownTopic), (6, .refresh), (29, .notAllowed), (74, .refresh),
        (78, .again), (100, .unknownTopic), (35, .stop), (12_345, .refresh), (-1, .refresh),
    ]) func `what an error number asks for`(code: Int16, trouble: FetchTrouble) {
        #expect(FetchTrouble(code: code) == trouble)
    }
}
