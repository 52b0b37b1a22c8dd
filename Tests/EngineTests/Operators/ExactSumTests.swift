// Sums and means against slow, obvious versions: exact over all int64 and all doubles, whatever the order and the cuts.

import Engine
import Foundation
import TestSupport
import Testing

private let fields = [
    Field("k", .int64), Field("n", .int64), Field("x", .float64), Field("maybe", .float64, nullable: true),
]

private func sums() throws -> StageGraph {
    try graph { job in
        try job.stream(.kafka("t", format: .json, schema: fields)).groupBy(col("k"))
            .agg(
                sum(col("n")).as("total"), avg(col("n")).as("mean"), sum(col("x")).as("xTotal"), avg(col("x")).as("xMean"),
                sum(col("maybe")).as("mTotal"), avg(col("maybe")).as("mMean"), count().as("rows")
            ).write(to: .table("sums", key: ["k"]))
    }
}

private func row(_ n: Int64 = 0, _ x: Double = 0, _ maybe: Double? = nil, key: Int64 = 1) -> BenchRow {
    ["k": .int64(key), "n": .int64(n), "x": .float64(x), "maybe": maybe.map { .float64($0) } ?? .null]
}

/// The row of key 1: total, mean, xTotal, xMean, mTotal, mMean, rows.
private func result(_ rows: [BenchRow], chunkRows: Int = 1000) throws -> [Value] {
    let run = BenchRun(graph: try sums(), chunkRows: chunkRows)
    var table = BenchTable()
    table.upsert(try run.batch([rows], deltas: []).output, keyColumns: 1)
    return Array(try #require(table.rows[[.int64(1)]]).dropFirst())
}

/// The nearest double to the exact sum (Shewchuk): what does not fit a partial is kept as another one.
private func nearest(_ values: [Double]) -> Double {
    var partials: [Double] = []
    for value in values {
        var (value, kept) = (value, [Double]())
        for partial in partials {
            let (large, small) = abs(value) < abs(partial) ? (partial, value) : (value, partial)
            let high = large + small
            let low = small - (high - large)
            if low != 0 { kept.append(low) }
            value = high
        }
        partials = kept + [value]
    }
    guard var high = partials.popLast() else { return 0 }
    var low = 0.0
    while let next = partials.popLast() {
        let before = high
        high = before + next
        low = next - (high - before)
        if low != 0 { break }
    }
    // Halfway, and there is more behind: the other neighbour is nearer.
    if let behind = partials.last, low < 0 && behind < 0 || low > 0 && behind > 0 {
        let twice = low * 2
        let other = high + twice
        if twice == other - high { high = other }
    }
    return high
}

struct ExactSumTests {
    @Test func `a sum of int64 beyond int64 is NULL, never a wrapped number, and its mean is right`() throws {
        let twice = try result([row(.max), row(.max)])
        #expect(twice[0] == .null && twice[1] == .float64(Double(Int64.max)))
        let low = try result([row(.min), row(.min), row(.min)])
        #expect(low[0] == .null && low[1] == .float64(Double(Int64.min)))
        #expect(try result([row(.max), row(.max), row(.min), row(.min), row(7)])[0] == .int64(5))
        #expect(try result([row(.max), row(1), row(-1)])[0] == .int64(.max))
        #expect(try result([row(.min)])[0] == .int64(.min))
    }

    @Test(
        arguments: [
            6e23, 6e-34, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude, .leastNormalMagnitude.nextDown, .greatestFiniteMagnitude,
            -.greatestFiniteMagnitude, 0x1p62, 0x1.fffffffffffffp61, 0x1p-76, 0x1p-77, 0x1.8p-76, 1e-4, 0.1, -0.3, 1e15 + 0.5, 1e300,
            123.456, 4.6e18, -9.3e18,
        ] as [Double])
    func `sum and mean of one value are that value`(_ value: Double) throws {
        let one = try result([row(0, value, value), row(0, 0, nil)])
        #expect(one[2] == .float64(value) && one[4] == .float64(value) && one[5] == .float64(value))
        #expect(try result([row(0, value, value)])[3] == .float64(value))
    }

    @Test(arguments: [0.1, 1e308, .leastNonzeroMagnitude, -6e23, 3.0000000000000004, 1.7976931348623157e308, 1e-300, 0.7])
    func `the mean of many equal values is that value`(_ value: Double) throws {
        for count in [2, 3, 5, 6, 7, 10, 49, 93, 1000] {
            let mean = try result(Array(repeating: row(0, value, value), count: count))
            #expect(mean[3] == .float64(value) && mean[5] == .float64(value), "\(count) times")
        }
    }

    @Test func `a sum beyond the largest double is NULL, one that comes back is not, and what is not finite gives NaN`() throws {
        let most = Double.greatestFiniteMagnitude
        #expect(try result([row(0, most), row(0, most)])[2] == .null)
        #expect(try result([row(0, most), row(0, most)])[3] == .float64(most))
        #expect(try result([row(0, most), row(0, most), row(0, -most)])[2] == .float64(most))
        for odd in [Double.nan, .infinity, -.infinity] {
            guard case .float64(let value) = try result([row(0, 1), row(0, odd)])[2] else {
                Issue.record("no number")
                continue
            }
            #expect(value.isNaN)
        }
    }

    @Test(arguments: 0..<12)
    func `a sum of any doubles is the nearest double to the exact sum, in any order and any cut`(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        func any() -> Double {
            switch seed % 4 {
            // All exponents, subnormals too; the highest ones are left out, since the slow version cannot go beyond them.
            case 0: Double(bitPattern: UInt64.random(in: 0..<0x7fd0_0000_0000_0000, using: &random)) * (random.chance(0.5) ? 1 : -1)
            // Around the bounds of what a window holds.
            case 1: Double.random(in: 1..<2, using: &random) * pow(2, Double(random.pick([61, 62, 63, 0, -76, -77, -75, -128]))) * (random.chance(0.5) ? 1 : -1)
            case 2: Double.random(in: -1000..<1000, using: &random)
            default: random.pick([1e15, -1e15, 1e-3, 0.1, 3e5, -0.7, 1e-20, -1e22, 6e23])
            }
        }
        var values = (0..<300).map { _ in any() }
        // Much of it cancels, so that what is left is small against what went through.
        values += values[..<250].map { -$0 }
        let expected = nearest(values)
        for chunkRows in [1, 7, 1000] {
            values.shuffle(using: &random)
            let sum = try result(values.map { row(0, $0) }, chunkRows: chunkRows)[2]
            #expect(sum == .float64(expected), "in chunks of \(chunkRows)")
        }
    }

    @Test(arguments: [1, 3])
    func `ranges, batches and parts leave no trace in a sum, whatever it holds`(parts: Int) throws {
        var random = SeededRandom(seed: 5)
        let rows = (0..<4000).map { index -> BenchRow in
            let x = random.pick([6e23, -6e23, 1e-30, 0.1, 1e300, -1e300, 2.5, -1e-3])
            return row(random.pick([.max, .min, 1, -5]), x, random.chance(0.3) ? nil : x * 3, key: Int64(index % 7))
        }
        func digests(batches: Int, ranges: Int, chunkRows: Int, order: [BenchRow]) throws -> ([Value: [Value]], [Chunk]) {
            let run = BenchRun(graph: try sums(), parts: parts, chunkRows: chunkRows)
            var table = BenchTable()
            var deltas: [Chunk] = []
            let size = (order.count + batches - 1) / batches
            for start in stride(from: 0, to: order.count, by: size) {
                let part = Array(order[start..<min(start + size, order.count)])
                let result = try run.batch(
                    (0..<ranges).map { range in part.indices.filter { $0 % ranges == range }.map { part[$0] } }, deltas: deltas)
                table.upsert(result.output, keyColumns: 1)
                deltas += result.deltas
            }
            return (Dictionary(uniqueKeysWithValues: table.rows.map { ($0.key[0], $0.value) }), deltas)
        }
        let whole = try digests(batches: 1, ranges: 1, chunkRows: 4000, order: rows)
        let cut = try digests(batches: 9, ranges: 3, chunkRows: 11, order: rows.shuffled(using: &random))
        #expect(whole.0 == cut.0 && whole.0.count == 7)
        // The same totals are the same bytes: what the ledger and the state store compare.
        let again = try digests(batches: 1, ranges: 4, chunkRows: 17, order: rows.shuffled(using: &random))
        #expect(again.1.map { ChunkCodec.encode($0) } == whole.1.map { ChunkCodec.encode($0) })
    }

    /// The delta of a batch of the build before sums were exact, as it lies in state stores: keys 1 and 2, of the rows below.
    private static let earlier = [
        "U0xDSwEAAAB0AQAAAAAAAEAnzm0bv3LwDAAAAAEAawAACQB0b3RhbC5zdW0AAAoAbWVhbi5rbm93bgAACgB4VG90YWwubG93AAALAHhUb3RhbC5o",
        "aWdoAAAKAHhUb3RhbC5vZGQAAAsAeE1lYW4ua25vd24AAAwAbVRvdGFsLmtub3duAAAKAG1Ub3RhbC5sb3cAAAsAbVRvdGFsLmhpZ2gAAAoAbVRv",
        "dGFsLm9kZAAACQByb3dzLnJvd3MCAAAAAAEAAAAAAAAAAgAAAAAAAAAAJQAAAAAAAAAHAAAAAAAAAAACAAAAAAAAAAEAAAAAAAAAAAAAAAAAAADA",
        "AAAAAAAAAMAAAQAAAAAAAAD+/////////wAAAAAAAAAAAAAAAAAAAAAAAAIAAAAAAAAAAQAAAAAAAAAAAQAAAAAAAAABAAAAAAAAAAAAAAAAAAAA",
        "gAAAAAAAAABAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACAAAAAAAAAAEAAAAAAAAA",
    ].joined()

    @Test func `state that an earlier build wrote is read, and goes on exactly`() throws {
        let run = BenchRun(graph: try sums())
        let bytes = try #require(Data(base64Encoded: Self.earlier))
        let state = KeyedState(graph: run.graph, keyGroups: run.keyGroups)
        state.apply(delta: try run.graph.state(ChunkCodec.decode([UInt8](bytes), for: .state)), groups: 0..<run.keyGroups)
        let blocks = run.source([row(.max, 6e23, -0.25), row(5, 0.5, 1, key: 2)]).blocks.compactMap { $0 }
        var table = BenchTable()
        table.upsert(try run.merge(blocks, state: state).output, keyColumns: 1)
        // Before: 40 and -3, 2.5 and -0.75, 2.5 and NULL; and 7, -1.25, 0.25 for the second key.
        #expect(
            table.rows[[.int64(1)]] == [
                .int64(1), .null, .float64(nearest([Double(Int64.max), 37]) / 3), .float64(6e23), .float64(6e23 / 3),
                .float64(2.25), .float64(1.125), .int64(3),
            ])
        #expect(
            table.rows[[.int64(2)]] == [
                .int64(2), .int64(12), .float64(6), .float64(-0.75), .float64(-0.375), .float64(1.25), .float64(0.625), .int64(2),
            ])
    }
}
