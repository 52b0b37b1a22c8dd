import Engine
import Foundation
import TestSupport
import Testing

/// Jobs that write to a topic, killed at every named point beside and inside a transaction.
@Suite(.serialized, TestBroker.needsReal) struct TopicSinkCrashTests {
    struct Point: Sendable, CustomTestStringConvertible {
        var name: String
        var hit: Int
        var testDescription: String { "\(name)@\(hit)" }
    }
    static let driverPoints = Failpoint.driverNames.map { Point(name: $0, hit: 2) }
    // The claim of the four parts reaches the topic's points in the driver's process, a seal in a worker's.
    static let workerPoints =
        Failpoint.workerNames.map { Point(name: $0, hit: 2) }
        + Failpoint.topicNames.flatMap { name in [1, 5].map { Point(name: name, hit: $0) } }

    @Test(arguments: driverPoints) func `a driver killed at a named point goes on exactly`(point: Point) throws {
        let world = try TopicWorld(events: 20_000)
        let extra = ["--max-batch-records", "4000"]
        let killed = try world.run(extra, environment: ["SLUICE_TEST_FAILPOINT": point.testDescription], expecting: nil)
        #expect(killed.status == 128 + SIGKILL, "the failpoint was not reached: \(killed.errors)")
        _ = try world.run(extra)
        try world.expectEachPurchaseOnce()
    }

    @Test(arguments: workerPoints) func `a process killed inside and beside a transaction costs an attempt`(point: Point) throws {
        let world = try TopicWorld(events: 20_000)
        let extra = ["--max-batch-records", "8000"]
        // One process of the three dies there; one that takes its place goes on.
        let mark = world.harness.directory.file("killed")
        let result = try world.run(
            extra,
            environment: ["SLUICE_TEST_FAILPOINT": point.testDescription, "SLUICE_TEST_FAILPOINT_ONCE": mark], expecting: nil)
        #expect(FileManager.default.fileExists(atPath: mark), "the failpoint was not reached")
        if result.status != 0 { _ = try world.run(extra) }
        try world.expectEachPurchaseOnce()
    }
}
