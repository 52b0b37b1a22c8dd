// What this host knows of a process: whether the holder of a lease is gone for certain.
//
// A process is known by its number, its start time and its process namespace within one boot of one kernel. Only then
// may its absence be believed; a number alone is reused, and another container has other numbers.

import Engine
import Foundation

package enum ProcessLife: Sendable, Equatable { case alive, dead, unknown }

package enum HostProcesses {
    /// The running kernel's identity; empty where /proc does not tell.
    package static let bootID =
        contents("/proc/sys/kernel/random/boot_id")?
        .trimmingCharacters(in: .whitespacesAndNewlines) ?? ""

    package static let pidNamespace: String = {
        var buffer = [UInt8](repeating: 0, count: 128)
        let length = readlink("/proc/self/ns/pid", &buffer, buffer.count)
        return length > 0 ? String(decoding: buffer[..<length], as: UTF8.self) : ""
    }()

    /// Whether the process of `holder` still runs, as far as this process can tell.
    package static func life(of holder: LeaseHolder) -> ProcessLife {
        guard !holder.bootID.isEmpty, holder.bootID == bootID, holder.host == ProcessInfo.processInfo.hostName,
            !holder.pidNamespace.isEmpty, holder.pidNamespace == pidNamespace, holder.pid > 0
        else { return .unknown }
        if kill(holder.pid, 0) != 0, errno == ESRCH { return .dead }
        guard let fields = statFields(of: holder.pid), fields.count > 19, !holder.processStart.isEmpty else {
            return .unknown
        }
        // A killed process that nobody has waited for yet still has its number, and runs no more.
        if fields[0] == "Z" || fields[0] == "X" { return .dead }
        return fields[19] == holder.processStart ? .alive : .dead
    }

    /// Start time of a process in clock ticks since boot; nil when it cannot be seen.
    package static func start(of pid: Int32) -> String? {
        guard let fields = statFields(of: pid), fields.count > 19 else { return nil }
        return fields[19]
    }

    /// The fields of /proc/PID/stat after the program's name, which may itself hold spaces and brackets.
    private static func statFields(of pid: Int32) -> [String]? {
        guard let text = contents("/proc/\(pid)/stat"), let bracket = text.lastIndex(of: ")") else { return nil }
        return text[text.index(after: bracket)...].split(separator: " ").map(String.init)
    }

    private static func contents(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
}
