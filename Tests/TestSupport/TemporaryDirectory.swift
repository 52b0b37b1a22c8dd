// A directory of a test's own, gone when the value goes.
//
// A test that is killed leaves its directories. Their names hold the process that made them, so the next test process takes
// away what belongs to one that is not there any more.

import Foundation

package final class TemporaryDirectory: Sendable {
    package let path: String

    package init(_ label: String = "sluice") throws {
        Self.sweepOnce
        var template = (NSTemporaryDirectory() as NSString).appendingPathComponent("\(Self.mark)\(getpid())-\(label)-XXXXXX")
            .utf8CString.map(\.self)
        guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    private static let mark = "sluice-test-"
    private static let sweepOnce: Void = sweep(NSTemporaryDirectory())

    /// Removes what processes that are gone left in `folder`.
    package static func sweep(_ folder: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names where name.hasPrefix(mark) {
            guard let pid = Int32(name.dropFirst(mark.count).prefix { $0.isNumber }), kill(pid, 0) != 0, errno == ESRCH else { continue }
            // Another test process may be faster.
            try? FileManager.default.removeItem(atPath: folder + "/" + name)
        }
    }

    package func file(_ name: String) -> String { path + "/" + name }

    deinit {
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            // Left for the system to clear: a test must not fail because of its dust.
        }
    }
}
