import Testing
import Values

/// Equal values hash alike, in whatever form they come, and order is total.
@Suite struct KeyOrderTests {
    private let pool = BufferPool()

    private func vector(_ texts: [String?], _ type: SQLType) throws -> Vector {
        .flat(try texts.map { try $0.map { try TypeText.read($0, as: type, context: EvaluationContext()) } ?? .null }, type, pool: pool)
    }

    private func hashes(_ columns: [Vector], _ selection: Selection) -> [UInt64] {
        [UInt64](unsafeUninitializedCapacity: selection.count) { buffer, count in
            KeyOrder.hash(columns, selection, into: buffer.baseAddress!)
            count = selection.count
        }
    }

    @Test(arguments: SQLType.scalars) func `what is equal hashes alike, and what is not does not`(_ type: SQLType) throws {
        let texts = BoundaryValues.texts(type).map { Optional($0) } + [nil, nil]
        let column = try vector(texts, type)
        let hashes = hashes([column], .all(texts.count))
        let compare = KeyOrder.rows(type, column, column).compare
        for row in texts.indices {
            for other in texts.indices {
                let order = compare(row, other)
                #expect(order == -compare(other, row), "\(type.name) \(texts[row] ?? "NULL") \(texts[other] ?? "NULL")")
                #expect((order == 0) == (hashes[row] == hashes[other]), "\(type.name) \(texts[row] ?? "NULL") \(texts[other] ?? "NULL")")
            }
        }
    }

    @Test func `an order is transitive over numbers that look alike`() throws {
        let texts = ["1", "1.0", "1.00", "0.999", "1e0", "1.0000000000000000001", "NaN", "Infinity", "-Infinity", "0", "-0.0", "0.000"]
        let column = try vector(texts, .numeric)
        let compare = KeyOrder.rows(.numeric, column, column).compare
        for a in texts.indices {
            for b in texts.indices {
                for c in texts.indices where compare(a, b) <= 0 && compare(b, c) <= 0 {
                    #expect(compare(a, c) <= 0)
                }
            }
        }
    }

    @Test func `a constant, a dictionary and a flat vector of the same values hash alike`() throws {
        let flat = try vector(["7", "7", "7"], .int8)
        let constant = Vector.constant(.word(7), .int8, pool: pool)
        let codes = pool.take(12)
        for row in 0..<3 { codes.base.assumingMemoryBound(to: Int32.self)[row] = 1 }
        let coded = Vector(dictionary: try vector(["3", "7"], .int8), codes: codes, count: 3)
        #expect(hashes([flat], .all(3)) == hashes([constant], .all(3)) && hashes([flat], .all(3)) == hashes([coded], .all(3)))
    }

    /// State is laid out by these: they may never change.
    @Test func `hashes are what they were in earlier builds`() throws {
        let (numbers, pair) = (hashes([try vector(["42", nil], .int8)], .all(2)), hashes([try vector(["campaign"], .text), try vector(["1.50"], .numeric)], .all(1)))
        #expect(numbers == [11_647_089_653_680_432_721, 16_772_184_635_331_376_015])
        #expect(pair == [10_293_546_220_020_603_846])
    }

    @Test func `equal intervals have one canonical look`() throws {
        for texts in [["24 hours", "1 day"], ["30 days", "1 mon"], ["1 mon -1 day", "29 days"], ["-24:00:01", "-1 day -00:00:01"]] {
            let looks = try texts.map { text -> Interval? in
                guard case .interval(let value) = try TypeText.read(text, as: .interval, context: EvaluationContext()) else { return nil }
                return value.canonical
            }
            #expect(looks[0] != nil && looks[0] == looks[1])
        }
    }
}
