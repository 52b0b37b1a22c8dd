// Kept versions, found by where a jump back may lead (protocol 4).

import Driver
import Engine
import Testing

struct CatalogStartTests {
    private func place(_ number: Int32) -> TopicPartition { TopicPartition(topic: "events", partition: number) }

    private func find(
        _ fixture: CatalogFixture, _ jobID: JobID, _ target: [Int64], starts: [Int64] = [0, 0], kept: Set<BatchNumber> = [1, 2, 3, 4]
    ) throws -> KeptVersion? {
        func offsets(_ values: [Int64]) -> [TopicPartition: Int64] {
            Dictionary(uniqueKeysWithValues: values.enumerated().map { (place(Int32($0.offset)), $0.element) })
        }
        return try fixture.catalog.version(jobID, atOrBefore: offsets(target), starts: offsets(starts)) { kept.contains($0.version) }
    }

    /// Four batches of ten offsets each in two partitions.
    @Test(arguments: CatalogPlace.available)
    func `the newest kept version at or before all positions is found`(_ kind: CatalogPlace) throws {
        let fixture = try CatalogFixture(kind)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...4, partitions: 2)
        func found(_ target: [Int64], starts: [Int64] = [0, 0], kept: Set<BatchNumber> = [1, 2, 3, 4]) throws -> String {
            guard let version = try find(fixture, jobID, target, starts: starts, kept: kept) else { return "none" }
            return "\(version.batch): \(version.positions[place(0)]!) \(version.positions[place(1)]!)"
        }
        #expect(try found([30, 30]) == "3: 30 30")
        #expect(try found([39, 39]) == "3: 30 30")
        #expect(try found([39, 25]) == "2: 20 20")
        // What was swept is not there any more.
        #expect(try found([39, 39], kept: [1]) == "1: 10 10")
        // Everything anew: the empty state, at the target where that lies before.
        #expect(try found([9, 39]) == "0: 0 0")
        #expect(try found([0, 0]) == "0: 0 0")
        // Records that Kafka has deleted cannot be read again.
        #expect(try found([39, 25], starts: [5, 21]) == "none")
        #expect(try found([39, 25], starts: [20, 20]) == "2: 20 20")
        #expect(try found([9, 9], starts: [1, 0]) == "none")
    }

    @Test(arguments: CatalogPlace.available)
    func `a version carries the watermark and the state of its batch`(_ kind: CatalogPlace) throws {
        let fixture = try CatalogFixture(kind)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...3, partitions: 2)
        let version = try #require(try find(fixture, jobID, [20, 20]))
        let batch = try #require(try fixture.catalog.batch(jobID, 2)?.outcome)
        // A manifest of an earlier build does not say what its groups count in; the plan beside it does.
        var state = batch.state
        state?.keyGroups = try fixture.catalog.batch(jobID, 2)?.plan.keyGroups
        #expect(version.state == state && version.watermarkMillis == batch.watermarkAfterMillis)
        #expect(version.untouched.isEmpty)
    }

    @Test(arguments: CatalogPlace.available)
    func `a partition that was never read stands where it began in every version`(_ kind: CatalogPlace) throws {
        let fixture = try CatalogFixture(kind)
        let (jobID, epoch) = try fixture.job()
        try fixture.run(jobID, epoch, batches: 1...2, partitions: 2)
        try fixture.catalog.startAt(
            jobID, epoch: epoch, positions: [PartitionPosition(topic: "events", partition: 2, position: 7, foundMillis: 55)])
        #expect(try fixture.catalog.positions(jobID).last?.foundMillis == 55)
        let version = try #require(try find(fixture, jobID, [10, 10, 7], starts: [0, 0, 0]))
        #expect(version.batch == 1 && version.positions[place(2)] == 7 && version.untouched == [place(2)])
    }
}
