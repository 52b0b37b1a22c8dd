// Runs other programs for tests, by plain `posix_spawn`.
//
// Foundation's `Process` hands a socket down to the child and waits for it to close; a child that starts a server keeps
// it open, and the wait never ends. Here a child inherits nothing but its three standard files, and output goes to a
// file, which no server can hold back.

import Foundation

package struct ToolError: Error, CustomStringConvertible {
    package var text: String
    package var description: String { text }
}

/// Runs a program to its end.
/// - Parameter environment: changes to our own; nil removes a variable.
/// - Returns: its exit status (-1 when a signal ended it) and what it printed on both outputs.
package func runTool(
    _ program: String, _ arguments: [String], environment: [String: String?] = [:]
) throws -> (status: Int32, output: String) {
    let path = NSTemporaryDirectory() + "/sluice-tool-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    defer { unlink(path) }
    let child = try spawnTool(program, arguments, environment: environment, input: nil, output: path)
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 {
        guard errno == EINTR else { throw ToolError(text: "cannot wait for \(program)") }
    }
    return (status & 0x7f == 0 ? status >> 8 & 0xff : -1, try String(contentsOfFile: path, encoding: .utf8))
}

/// Starts a program; the caller waits for it, or does not.
func spawnTool(
    _ program: String, _ arguments: [String], environment: [String: String?] = [:], input: Int32?, output: String?
) throws -> pid_t {
    var files = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&files)
    defer { posix_spawn_file_actions_destroy(&files) }
    if let input {
        posix_spawn_file_actions_adddup2(&files, input, 0)
    } else {
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_addopen(&files, 1, output ?? "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_adddup2(&files, 1, 2)
    // What a server inherits it keeps open: another test's pipe would never end.
    for descriptor in 3..<256 { posix_spawn_file_actions_addclose(&files, Int32(descriptor)) }
    var variables = ProcessInfo.processInfo.environment
    for (name, value) in environment { variables[name] = value }
    let words = ([program] + arguments).map { strdup($0) } + [nil]
    let settings = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in words + settings { free(text) } }
    var child: pid_t = 0
    let failed = posix_spawn(&child, program, &files, nil, words, settings)
    guard failed == 0 else { throw ToolError(text: "\(program): \(String(cString: strerror(failed)))") }
    return child
}
