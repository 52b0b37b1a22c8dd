import Foundation
import Sluice
import Testing

@Suite struct BenchPlaceTests {
    @Test func `the peak of resident memory is found among the lines of a status`() {
        let status = "Name:\tsluice\nVmPeak:\t  900000 kB\nVmHWM:\t   41236 kB\nVmRSS:\t   30000 kB\n"
        let peak: Int64 = 41_236 * 1024
        #expect(ProcessTree.peakResidentBytes(inStatus: status) == peak)
    }

    @Test(arguments: ["Name:\tsluice\nState:\tZ (zombie)\n", "", "VmHWM:\tx kB\n", "VmHWM:\t12 MB\n"])
    func `a status without a peak gives none`(_ status: String) {
        #expect(ProcessTree.peakResidentBytes(inStatus: status) == nil)
    }

    @Test(arguments: [
        ("7 (a (b) c) S 1 1 1 0 -1 4194560 100 0 0 0 12 30 0 0 20 0", 42 as Int64?), ("7 (a) S 1 1", nil), ("", nil),
    ])
    func `processor time is counted behind the name`(_ text: String, _ ticks: Int64?) {
        #expect(ProcessTree.cpuTicks(inStat: text) == ticks)
    }

    @Test(arguments: [("", []), ("12 \n", [12]), ("12 345 6789 ", [12, 345, 6789])] as [(String, [Int32])])
    func `children are the numbers of the kernel's list`(_ text: String, _ pids: [Int32]) {
        #expect(ProcessTree.children(inList: text) == pids)
    }

    @Test func `a process that was started stands among the children of this one`() throws {
        let child = Process()
        child.executableURL = URL(filePath: "/bin/sh")
        child.arguments = ["-c", "read line"]
        let input = Pipe()
        child.standardInput = input
        try child.run()
        let me = ProcessInfo.processInfo.processIdentifier
        #expect(try ProcessTree.children(of: me).contains(child.processIdentifier))
        try input.fileHandleForWriting.close()
        child.waitUntilExit()
        #expect(try !ProcessTree.children(of: me).contains(child.processIdentifier))
        #expect(try ProcessTree.peakResidentBytes(of: me) > 1 << 20)
    }

    @Test(arguments: [
        // 4 partitions keep 4 * 5 MiB of values and 12 bytes each beside them; a tenth stays free.
        (wanted: 10_000, bytes: 188.0, partitions: 4, most: 10_000),
        (2_000_000, 188, 4, 94_000),
        (2_000_000, 188, 1000, 2_000_000),
        (50, 10_000_000, 1, 1),
    ])
    func `the embedded broker gets what it keeps`(
        _ row: (wanted: Int, bytes: Double, partitions: Int, most: Int)
    ) throws {
        let most = EmbeddedRoom.most(of: row.wanted, meanBytes: row.bytes, partitions: row.partitions)
        #expect(most == row.most)
    }

    @Test func `a property of Kafka goes to a run under its variable`() {
        #expect(BenchPlace.variable(ofProperty: "ssl.ca.location") == "SLUICE_KAFKA__SSL_CA_LOCATION")
    }

    @Test func `the processor is named as the kernel names it`() {
        let list = "processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\n"
        #expect(BenchMachine.processor(inList: list) == "Fast CPU @ 3 GHz")
        #expect(BenchMachine.processor(inList: "") == "unknown processor")
    }

    @Test func `processors are busy with all but rest and waiting for a disk, and stolen time is neither`() throws {
        let before = try #require(CoreTicks(inStat: "cpu  100 10 50 1000 20 3 7 500 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"))
        let after = try #require(CoreTicks(inStat: "cpu  160 10 70 1010 30 3 7 900 0 0\n"))
        #expect(before.busy == 170 && before.idle == 1020)
        #expect(after.share(since: before) == 0.8)
        #expect(before.share(since: before) == nil)
        #expect(CoreTicks(inStat: "cpu  1 2 3 4\n") == nil && CoreTicks(inStat: "") == nil)
    }

    @Test func `stolen time is the eighth number of all processors`() {
        let stat = "cpu  1041 2 303 40404 5 6 7 808 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
        #expect(BenchMachine.stolenTicks(inStat: stat) == 808)
        #expect(BenchMachine.stolenTicks(inStat: "cpu  1 2 3 4\n") == 0)
        #expect(BenchMachine.stolenTicks(inStat: "") == 0)
    }
}
