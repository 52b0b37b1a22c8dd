// What a number was measured on: without it a number says nothing to anybody else.
//
// The load stands with it, because a machine that does other things as well measures those too.

import Engine
import Foundation

package struct BenchMachine: Encodable {
    var processor: String
    var cores: Int
    var memoryBytes: UInt64
    var kernel: String
    /// Running and waiting threads, mean of the last minute, before the bench began.
    var load: Double
    var sluice = sluiceVersion
    var build: String
    var librdkafka = "\(KafkaVersion.loaded)"
    /// `embedded`, or the bootstrap address that was given.
    var broker: String
    /// Where catalog, sink and state of the runs lay: its disk is in the numbers.
    var directory: String
    var runs: Int

    init(broker: String, directory: String, runs: Int) {
        processor = Self.processor(inList: kernelText("/proc/cpuinfo") ?? "")
        cores = ProcessInfo.processInfo.activeProcessorCount
        memoryBytes = ProcessInfo.processInfo.physicalMemory
        var name = utsname()
        kernel =
            uname(&name) == 0
            ? withUnsafeBytes(of: &name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) } : "unknown"
        var loads = [0.0, 0, 0]
        load = getloadavg(&loads, 3) > 0 ? (loads[0] * 100).rounded() / 100 : 0
        build = String(ThisProgram.buildDigest.prefix(12))
        self.broker = broker
        self.directory = directory
        self.runs = runs
    }

    package static func processor(inList text: String) -> String {
        for line in text.split(separator: "\n") where line.hasPrefix("model name") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            return line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        return "unknown processor"
    }

    /// Processor time since the machine's start that it was ready to use and a hypervisor gave to others, in milliseconds.
    static func stolenMillis() -> Double {
        Double(stolenTicks(inStat: kernelText("/proc/stat") ?? "")) * 1000 / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The eighth number of the line of all processors; 0 where there is none.
    package static func stolenTicks(inStat text: String) -> Int64 {
        guard let all = text.split(separator: "\n").first(where: { $0.hasPrefix("cpu ") }) else { return 0 }
        let words = all.split(separator: " ")
        return words.count > 8 ? Int64(words[8]) ?? 0 : 0
    }

    var lines: [String] {
        [
            "machine  \(processor), \(cores) core\(cores == 1 ? "" : "s"), \(memoryBytes >> 20) MiB, Linux \(kernel), "
                + "load \(load)",
            "sluice   \(sluice), build \(build), librdkafka \(librdkafka)",
            "broker   \(broker)",
            "files    \(directory)",
            "runs     \(runs); of each the median, and over the runs median [min..max]",
        ]
    }
}
