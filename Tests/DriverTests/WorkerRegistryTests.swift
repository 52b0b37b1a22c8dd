import Driver
import Engine
import Testing
import Wire

@Suite struct WorkerRegistryTests {
    private func registry() throws -> (WorkerRegistry, String) {
        var registry = WorkerRegistry(build: "b", timeoutMillis: 5000)
        let id = try registry.register(
            RegisterWorker(url: "http://w", slots: 2, build: "b", pid: 1, host: "h", bootID: ""), nowMillis: 0
        ).id
        return (registry, id)
    }

    @Test func `a worker with trouble of its own is avoided longer each time, and stays a member`() throws {
        let made = try registry()
        var registry = made.0
        let id = made.1
        var now: Int64 = 0
        var pauses: [Int64] = []
        for _ in 0..<9 {
            let answer = registry.troubled(id, nowMillis: now)
            let millis = try #require(answer)
            // The other tasks that failed at the same moment are the same trouble.
            let again = registry.troubled(id, nowMillis: now + 1)
            #expect(again == nil)
            pauses.append(millis)
            now += millis
        }
        #expect(pauses == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
        #expect(registry.available.map(\.id) == [id])
        // After a good while it is trusted as before.
        let later = registry.troubled(id, nowMillis: now + 3_600_000)
        #expect(later == 1000)
        let other = registry.troubled("nobody", nowMillis: now)
        #expect(other == nil)
    }
}
