// Who drives a job: of many askers one, and the next as soon as that one is known to be gone.

import Driver
import Engine
import Foundation
import Synchronization
import Testing

struct LeaseTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var lease: Lease
        var asker = "a"
        var life = ProcessLife.unknown
        var answer: LeaseAnswer
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "never held", lease: Lease(epoch: 0, holder: nil, untilMillis: 0), answer: .acquired(1)),
        Case(name: "released", lease: Lease(epoch: 7, holder: nil, untilMillis: 0), answer: .acquired(8)),
        Case(
            name: "held", lease: Lease(epoch: 7, holder: .elsewhere("b"), untilMillis: 1300),
            answer: .held(.elsewhere("b"), remainingMillis: 300)),
        Case(
            name: "held by a living process", lease: Lease(epoch: 7, holder: .elsewhere("b"), untilMillis: 1001),
            life: .alive, answer: .held(.elsewhere("b"), remainingMillis: 1)),
        Case(
            name: "over at this very moment", lease: Lease(epoch: 7, holder: .elsewhere("b"), untilMillis: 1000),
            answer: .acquired(8)),
        Case(
            name: "over, though the process lives", lease: Lease(epoch: 7, holder: .elsewhere("b"), untilMillis: 900),
            life: .alive, answer: .acquired(8)),
        Case(
            name: "its process is dead", lease: Lease(epoch: 7, holder: .elsewhere("b"), untilMillis: 1300),
            life: .dead, answer: .acquired(8)),
        Case(
            name: "held by the asker: a new epoch all the same",
            lease: Lease(epoch: 7, holder: .elsewhere("a"), untilMillis: 1300), life: .alive, answer: .acquired(8)),
    ]

    @Test(arguments: cases)
    func `the lease is decided from holder, clock and process`(_ test: Case) {
        #expect(
            test.lease.answer(to: .elsewhere(test.asker), nowMillis: 1000, holderLife: test.life) == test.answer)
    }

    @Test(arguments: CatalogPlace.available)
    func `the second asker is told who holds the lease and for how long`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let first = LeaseHolder.elsewhere("first")
        #expect(try fixture.catalog.acquireLease("views", holder: first, leaseMillis: 600_000) == .acquired(1))
        let other = try fixture.another()
        defer { other.close() }
        let answer = try other.acquireLease("views", holder: .elsewhere("second"))
        guard case .held(let holder, let remainingMillis) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(holder == first)
        #expect(remainingMillis > 500_000 && remainingMillis <= 600_000)
        // Another job's lease is another lease.
        #expect(try other.acquireLease("clicks", holder: .elsewhere("second")) == .acquired(1))
    }

    @Test(arguments: CatalogPlace.available)
    func `renewing works for the holder's epoch alone and releasing frees the lease`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let catalog = fixture.catalog
        let first = try fixture.acquire("views", .elsewhere("first"))
        #expect(try catalog.renewLease("views", holderID: "first", epoch: first))
        let second = try fixture.acquire("views", .elsewhere("first"))
        #expect(second == first + 1)
        #expect(try catalog.renewLease("views", holderID: "first", epoch: first) == false)
        #expect(try catalog.renewLease("views", holderID: "other", epoch: second) == false)
        #expect(try catalog.renewLease("none", holderID: "first", epoch: second) == false)
        try catalog.releaseLease("views", holderID: "first", epoch: first)
        #expect(try catalog.lease("views")?.holder?.id == "first", "an old epoch releases nothing")
        try catalog.releaseLease("views", holderID: "first", epoch: second)
        #expect(try catalog.lease("views")?.holder == nil)
        #expect(try catalog.renewLease("views", holderID: "first", epoch: second) == false)
        #expect(try fixture.acquire("views", .elsewhere("third")) == second + 1)
    }

    @Test(arguments: CatalogPlace.available)
    func `a renewal moves the end on by the database's clock and a lease that is over is taken`(
        _ place: CatalogPlace
    ) throws {
        let fixture = try CatalogFixture(place)
        let epoch = try fixture.acquire("views", .elsewhere("first"), leaseMillis: 100_000)
        let before = try #require(try fixture.catalog.lease("views")).untilMillis
        #expect(try fixture.catalog.renewLease("views", holderID: "first", epoch: epoch, leaseMillis: 600_000))
        let after = try #require(try fixture.catalog.lease("views")).untilMillis
        #expect(after >= before + 500_000 && after < before + 590_000)
        #expect(try fixture.catalog.renewLease("views", holderID: "first", epoch: epoch, leaseMillis: 30))
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            if case .acquired(let next) = try fixture.catalog.acquireLease("views", holder: .elsewhere("second")) {
                #expect(next == epoch + 1)
                return
            }
            try #require(ContinuousClock.now < deadline)
            Thread.sleep(forTimeInterval: 0.005)
        }
    }

    @Test(arguments: CatalogPlace.available)
    func `of many askers at once one gets the lease`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let catalogs = [fixture.catalog, try fixture.another(), try fixture.another()]
        let answers = Mutex<[LeaseAnswer]>([])
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 12) { index in
            do {
                let answer = try catalogs[index % 3].acquireLease(
                    "views", holder: .elsewhere("\(index)"), leaseMillis: 60_000)
                answers.withLock { $0.append(answer) }
            } catch {
                failures.withLock { $0.append("\(error)") }
            }
        }
        #expect(failures.withLock { $0 }.isEmpty)
        #expect(answers.withLock { $0.filter { $0 == .acquired(1) }.count } == 1)
        #expect(answers.withLock { $0 }.count == 12)
        for catalog in catalogs.dropFirst() { catalog.close() }
    }

    @Test(arguments: CatalogPlace.available)
    func `the lease of a process that was killed on this host is free at once`(_ place: CatalogPlace) throws {
        let fixture = try CatalogFixture(place)
        let child = Process()
        child.executableURL = URL(fileURLWithPath: "/bin/sleep")
        child.arguments = ["60"]
        try child.run()
        var holder = LeaseHolder.thisProcess(id: "child", address: "http://127.0.0.1:1")
        holder.pid = child.processIdentifier
        holder.processStart = try #require(HostProcesses.start(of: child.processIdentifier))
        let asker = LeaseHolder.thisProcess(id: "asker", address: "http://127.0.0.1:2")
        let epoch = try fixture.acquire("views", holder)
        #expect(HostProcesses.life(of: holder) == .alive)
        guard case .held = try fixture.catalog.acquireLease("views", holder: asker) else {
            Issue.record("taken from a living process")
            return
        }
        kill(child.processIdentifier, SIGKILL)
        child.waitUntilExit()
        #expect(HostProcesses.life(of: holder) == .dead)
        #expect(try fixture.catalog.acquireLease("views", holder: asker) == .acquired(epoch + 1))
    }

    @Test func `a process is judged only where its number means something`() {
        let here = LeaseHolder.thisProcess(id: "me", address: "")
        #expect(HostProcesses.life(of: here) == .alive)
        #expect(here.bootID.count == 36 && !here.pidNamespace.isEmpty && !here.processStart.isEmpty)
        var other = here
        other.processStart = "1"
        #expect(HostProcesses.life(of: other) == .dead, "the number belongs to a later process")
        for change in [\LeaseHolder.bootID, \.host, \.pidNamespace] as [WritableKeyPath<LeaseHolder, String>] {
            var foreign = other
            foreign[keyPath: change] = "elsewhere"
            #expect(HostProcesses.life(of: foreign) == .unknown)
        }
    }
}
