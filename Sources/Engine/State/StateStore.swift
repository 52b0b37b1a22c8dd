// Where state versions live: a directory that every worker reaches (`file:DIR`).
//
// A state file is an encoded chunk (keys + accumulators), named by version, key groups, attempt and content digest, so
// two attempts never write the same name with other content, and a file once named by a manifest never changes. It is
// written to a temporary name, synced, renamed, and its directory synced, before the task reports it (`StatePut`; the simulator cuts the
// power between any two steps). So what a DONE row's manifest names is always there and whole; what no kept manifest names is garbage
// and is swept.
//
// Small deltas never come here: they travel in the report and are stored with DONE (protocol 5).
//
// The place's root is made by the driver of the first batch and never by `put`: where it is not there, something that should be
// mounted is not, and what was written into the empty directory below would be lost with its host.
//
// When changing this file: every return code of write, fsync and rename is checked; an fsync error is a failure, never
// retried (the page may be lost); the digest is verified on every read.

import Foundation
import Synchronization

/// What makes a state file durable, in this order; who does it may die between any two, and the host's power may go.
package enum StatePut: CaseIterable, Sendable {
    /// The job's own, in the place's root.
    case makeFolder
    /// The folder's name must last as long as what is in it, whoever made it: once in each process.
    case syncRoot
    /// Under a name of its own.
    case write
    case sync
    case rename
    case syncFolder
}

/// A place for state files.
package struct StateStore: Sendable {
    package let directory: String

    /// - Parameter address: `file:DIR`.
    package init(address: String) throws {
        guard address.hasPrefix("file:"), address.count > 5 else {
            throw Failure(
                .invalidSetting, "state place \(address) is not known", why: "only file:DIR is a state place",
                now: "set state to file:DIR, a directory that every worker reaches")
        }
        directory = String(address.dropFirst(5))
    }

    package func folder(_ jobID: JobID) -> String { directory + "/" + jobID.text }

    /// Makes the place: once, by who knows that nothing is in it yet.
    package func makeRoot() throws {
        var made: [String] = []
        var path = directory
        while !FileManager.default.fileExists(atPath: path) {
            made.append(path)
            path = Self.parent(path)
        }
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw unreachable("could not make \(directory)", "\(error.localizedDescription)")
        }
        // Its own name, too, where another process has made it and died before this: a power cut must not take it.
        for path in made.isEmpty ? [directory] : made { try syncDirectory(Self.parent(path)) }
    }

    private static func parent(_ path: String) -> String {
        let parent = (path as NSString).deletingLastPathComponent
        return parent.isEmpty ? "." : parent
    }

    /// - Throws: `stateUnreachable` where the place is not there.
    package func requireRoot() throws {
        var info = stat()
        guard stat(directory, &info) != 0 || info.st_mode & S_IFMT != S_IFDIR else { return }
        throw unreachable("the state place \(directory) is not there", "it was made before the first batch, and is not mounted here or was removed")
    }

    /// - Throws: `stateUnreachable` where nothing of the job is there, although it has kept something: what remains of a place that is
    ///   not mounted is an empty directory.
    package func requireFolder(_ jobID: JobID) throws {
        try requireRoot()
        guard access(folder(jobID), F_OK) != 0 else { return }
        throw unreachable("the state place \(directory) holds nothing of job \(jobID)", "its files were there, so it is not mounted here or was emptied")
    }

    /// Writes `bytes` durably under `name`.
    package func put(_ jobID: JobID, name: String, bytes: [UInt8]) throws {
        let folder = folder(jobID)
        let path = folder + "/" + name
        let temporary = path + ".\(getpid()).\(hexadecimal(UInt64.random(in: 0...UInt64.max))).tmp"
        var descriptor: Int32 = -1
        do {
            for step in StatePut.allCases {
                switch step {
                case .makeFolder: try makeFolder(folder)
                case .syncRoot:
                    if Self.lasting.withLock({ $0.contains(folder) }) { continue }
                    try syncDirectory(directory)
                    Self.lasting.withLock { _ = $0.insert(folder) }
                case .write: descriptor = try write(bytes, to: temporary)
                case .sync: guard fsync(descriptor) == 0 else { throw systemFailure("could not sync state file \(temporary)") }
                case .rename:
                    let closed = close(descriptor)
                    descriptor = -1
                    guard closed == 0, rename(temporary, path) == 0 else { throw systemFailure("could not name state file \(path)") }
                case .syncFolder: try syncDirectory(folder)
                }
            }
        } catch {
            if descriptor >= 0 { close(descriptor) }
            unlink(temporary)
            throw error
        }
    }

    /// Folders whose names this process has synced.
    private static let lasting = Mutex<Set<String>>([])

    private func makeFolder(_ folder: String) throws {
        if mkdir(folder, 0o755) == 0 {
            Self.lasting.withLock { _ = $0.remove(folder) }
        } else if errno != EEXIST {
            let number = errno
            try requireRoot()
            errno = number
            throw systemFailure("could not make \(folder)")
        }
    }

    /// - Returns: the file's descriptor.
    private func write(_ bytes: [UInt8], to temporary: String) throws -> Int32 {
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw systemFailure("could not create state file \(temporary)") }
        var written = 0
        while written < bytes.count {
            let n = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress! + written, bytes.count - written) }
            if n < 0 && errno == EINTR { continue }
            guard n > 0 else {
                let failure = systemFailure("could not write state file \(temporary)")
                close(descriptor)
                throw failure
            }
            written += n
        }
        return descriptor
    }

    /// Reads the file that `file` names and checks its digest.
    package func get(_ jobID: JobID, _ file: StateFile) throws -> [UInt8] {
        let bytes = try read(jobID, name: file.name)
        try Self.verify(bytes, file, jobID)
        return bytes
    }

    package static func verify(_ bytes: [UInt8], _ file: StateFile, _ jobID: JobID) throws {
        guard digest(of: bytes) == file.digest else {
            throw Failure(
                .stateMissing, "state file \(file.name) of job \(jobID) is damaged",
                why: "its content does not have the digest that the log recorded",
                now: "restore it from a backup, or run the job under another name from an earlier position")
        }
    }

    package func read(_ jobID: JobID, name: String) throws -> [UInt8] {
        let path = folder(jobID) + "/" + name
        guard let data = FileManager.default.contents(atPath: path) else {
            try requireFolder(jobID)
            throw Failure(
                .stateMissing, "state file \(path) is not there", why: "the log names it, the directory does not hold it",
                now: "check that `state` names the same directory for the driver and every worker")
        }
        return [UInt8](data)
    }

    /// Removes one file; a file that is not there is fine.
    package func remove(_ jobID: JobID, name: String) { unlink(folder(jobID) + "/" + name) }

    /// Deletes files of versions up to `version` that `kept` does not name. Returns how many.
    @discardableResult
    package func sweep(_ jobID: JobID, upTo version: BatchNumber, kept: Set<String>) -> Int {
        sweep(jobID, prefix: "v", upTo: version, kept: kept)
    }

    private func sweep(_ jobID: JobID, prefix: String, upTo version: BatchNumber, kept: Set<String>) -> Int {
        let folder = folder(jobID)
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return 0 }
        var count = 0
        for name in names where !kept.contains(name) {
            // Names start with a letter and the batch's number; anything else in the folder is not ours to delete.
            guard name.hasPrefix(prefix), let number = Int64(name.dropFirst().prefix { $0.isNumber }), number <= version
            else { continue }
            if unlink(folder + "/" + name) == 0 { count += 1 }
        }
        return count
    }

    /// Files of offsets begin so, before the number of their batch.
    package static let offsetPrefix = "r"

    /// Deletes files of offsets of batches up to `batch`. Returns how many.
    @discardableResult
    package func sweepOffsets(_ jobID: JobID, upTo batch: BatchNumber) -> Int {
        sweep(jobID, prefix: Self.offsetPrefix, upTo: batch, kept: [])
    }

    /// Removes a job's state, and leaves what its log names besides.
    package func removeState(_ jobID: JobID) {
        sweep(jobID, upTo: .max, kept: [])
        rmdir(folder(jobID))
    }

    /// Removes everything of a job.
    package func removeAll(_ jobID: JobID) throws {
        let folder = folder(jobID)
        if FileManager.default.fileExists(atPath: folder) { try FileManager.default.removeItem(atPath: folder) }
    }

    private func syncDirectory(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw systemFailure("could not open directory \(path)") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw systemFailure("could not sync directory \(path)") }
    }

    private func systemFailure(_ what: String) -> Failure {
        let number = errno
        let text = String(cString: strerror(number))
        if number == ENOSPC || number == EDQUOT {
            return Failure(.diskFull, what, why: text, now: "free space under \(directory), then start the job again")
        }
        if [EMFILE, ENFILE, ENOMEM].contains(number) {
            return Failure(
                .workerTrouble, what, why: text, now: "raise the limits of this process (`ulimit -a`); its tasks run elsewhere meanwhile")
        }
        return unreachable(what, text)
    }

    private func unreachable(_ what: String, _ why: String) -> Failure {
        Failure(
            .stateUnreachable, what, why: why,
            now: "check that \(directory) exists on this host and that this user may write there")
    }
}
