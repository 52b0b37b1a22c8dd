// What the kernel knows of a running process: its children, and the most memory it ever held.
//
// Linux only, from /proc. `VmHWM` is the high-water mark of resident memory, with the pages of the binary and of the
// libraries in it; a peak cannot be missed between two looks, so it is read once, at the end, while the process lives.

import Engine
import Foundation

package enum ProcessTree {
    /// The processes that `pid` started and that live. Each thread has a list of its own.
    package static func children(of pid: Int32) throws -> [Int32] {
        let tasks: [String]
        do {
            tasks = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
        } catch {
            throw gone(pid)
        }
        var found: [Int32] = []
        for task in tasks {
            // A thread may end between the two looks; then its children stand in another thread's list.
            guard let text = kernelText("/proc/\(pid)/task/\(task)/children") else { continue }
            found += children(inList: text)
        }
        return found.sorted()
    }

    package static func peakResidentBytes(of pid: Int32) throws -> Int64 {
        guard let status = kernelText("/proc/\(pid)/status"), let peak = peakResidentBytes(inStatus: status) else {
            throw gone(pid)
        }
        return peak
    }

    /// Processor time of all threads, in user and in kernel, in milliseconds; the kernel counts in steps of 10.
    package static func cpuMillis(of pid: Int32) throws -> Double {
        guard let stat = kernelText("/proc/\(pid)/stat"), let ticks = cpuTicks(inStat: stat) else { throw gone(pid) }
        return Double(ticks) * 1000 / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The fields 14 and 15, counted behind the name, which may hold spaces and brackets itself.
    package static func cpuTicks(inStat text: String) -> Int64? {
        guard let name = text.lastIndex(of: ")") else { return nil }
        let words = text[text.index(after: name)...].split(whereSeparator: \.isWhitespace)
        guard words.count > 12, let user = Int64(words[11]), let kernel = Int64(words[12]) else { return nil }
        return user + kernel
    }

    package static func children(inList text: String) -> [Int32] {
        text.split(whereSeparator: \.isWhitespace).compactMap { Int32($0) }
    }

    /// nil for a process that is dead and not yet collected: it has no memory any more.
    package static func peakResidentBytes(inStatus text: String) -> Int64? {
        for line in text.split(separator: "\n") where line.hasPrefix("VmHWM:") {
            // VmHWM:     41236 kB
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count == 3, words[2] == "kB", let kibibytes = Int64(words[1]) else { return nil }
            return kibibytes * 1024
        }
        return nil
    }

    private static func gone(_ pid: Int32) -> Failure {
        Failure(
            .notPossible, "process \(pid) could not be measured", why: "it has ended, or /proc does not show it",
            now: "run the bench again, on Linux; a second time the log that it names says more")
    }
}
