// A directory of a test's own, gone when the value goes.

import Foundation

package final class TemporaryDirectory: Sendable {
    package let path: String

    package init(_ label: String = "sluice") throws {
        var template = (NSTemporaryDirectory() as NSString).appendingPathComponent("\(label)-XXXXXX").utf8CString.map(\.self)
        guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
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
