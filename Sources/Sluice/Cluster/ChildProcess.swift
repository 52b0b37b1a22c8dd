// A worker process that `sluice run` starts and that cannot outlive it.
//
// The child's standard input is a pipe whose other end only this process holds: when this process ends, however it
// ends, the child reads end-of-file and exits. So kill -9 of the parent leaves no worker behind, on any Unix. Standard
// output and error are shared; secrets travel in the environment, never in the arguments (protocol 13).

import Engine
import Foundation

final class ChildProcess: @unchecked Sendable {
    let pid: pid_t
    private let input: Int32
    private static let spawning = NSLock()

    /// Starts `path` with `arguments` (without the program's name) and `environment` on top of this process's own.
    init(_ path: String, _ arguments: [String], environment: [String: String]) throws {
        var ends: [Int32] = [0, 0]
        // Under the lock, so that no other child inherits the parent's end between `pipe` and `fcntl`.
        Self.spawning.lock()
        defer { Self.spawning.unlock() }
        guard pipe(&ends) == 0, fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0, fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0 else {
            throw Self.failure("no pipe to a worker could be made")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own: Ctrl-C reaches the parent only, which drains and then ends its workers.
        posix_spawnattr_setpgroup(&attributes, 0)
        var defaults = sigset_t()
        sigemptyset(&defaults)
        for number in [SIGTERM, SIGINT, SIGPIPE, SIGCHLD] { sigaddset(&defaults, number) }
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF))

        var variables = ProcessInfo.processInfo.environment
        variables.merge(environment) { $1 }
        var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            for pointer in argv { free(pointer) }
            for pointer in envp { free(pointer) }
        }
        var pid: pid_t = 0
        let status = posix_spawn(&pid, path, &actions, &attributes, &argv, &envp)
        close(ends[0])
        guard status == 0 else {
            close(ends[1])
            errno = status
            throw Self.failure("worker process could not be started from \(path)")
        }
        self.pid = pid
        input = ends[1]
    }

    /// Waits for the child's end. Returns its exit status, or 128 + signal.
    func wait() -> Int32 {
        defer { close(input) }
        return collect()
    }

    /// Ends the child's input, which is its sign to end, and waits for that. Instead of `wait`.
    func finish() {
        close(input)
        _ = collect()
    }

    private func collect() -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 { if errno != EINTR { return -1 } }
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }

    /// Writes to the child's input.
    /// - Returns: false when the child does not take it, because it is gone.
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let n = bytes.withUnsafeBytes { write(input, $0.baseAddress! + sent, bytes.count - sent) }
            if n < 0 && errno == EINTR { continue }
            if n <= 0 { return false }
            sent += n
        }
        return true
    }

    func terminate() { kill(pid, SIGTERM) }

    private static func failure(_ what: String) -> Failure {
        Failure(.internal, what, why: String(cString: strerror(errno)), now: "check the limits of this user (`ulimit -a`)")
    }
}
