// The lookup files of a job that runs: read at its start, looked at now and then, taken in with a new digest when the job says so.
//
// A lookup may also be a table of a database, which is read whole each time.
//
// What a batch joined with is known by the digest in its plan, and the bytes are kept in the catalog by it. So a file may change at
// any time: it is another content for later plans, with `lookup_refresh`, or at the next start, without. A lease that is taken again
// is no start: the job goes on with what it has. A file that is being written, is gone or cannot be read stays as it was, and that is
// said once.
//
// Survives nothing: a start reads the files as they are. When changing it: nothing is taken in whose bytes are not kept first.

import Engine
import Foundation

package struct LookupFiles {
    package enum Change: Equatable {
        /// Later plans join with it.
        case taken(name: String, digest: String)
        /// It takes effect at the next start.
        case waits(name: String, path: String)
        case unreadable(name: String, Failure)
    }

    /// By which a file that did not change is told without reading it.
    private struct Stamp: Equatable {
        var inode: UInt64
        var size: Int64
        var seconds: Int
        var nanos: Int

        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            (inode, size) = (UInt64(status.st_ino), Int64(status.st_size))
            (seconds, nanos) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        }

        /// Whoever writes it may not be ready.
        func isFresh(_ wallMillis: Int64) -> Bool { abs(wallMillis - Int64(seconds) * 1000 - Int64(nanos) / 1_000_000) < LookupFiles.restMillis }
    }

    private enum Sight: Equatable {
        /// It is read at the next look, whatever its stamp.
        case unknown
        case file(Stamp)
        case gone
        /// It is there and cannot be read; tried again at each look.
        case closed
    }

    private struct File {
        var spec: LookupSpec
        var sight: Sight
        var digest: String
    }

    private static let restMillis: Int64 = 200
    private var files: [File] = []

    /// - Parameter keep: makes the bytes durable under their digest.
    /// - Throws: `fileMissing`, or why a file is no such table.
    package init(_ specs: [LookupSpec], job: String, keep: (String, [UInt8]) throws -> Void) throws {
        for spec in specs {
            if let read = spec.read {
                let bytes = try read()
                let name = digest(of: bytes)
                try keep(name, bytes)
                files.append(File(spec: spec, sight: .unknown, digest: name))
                continue
            }
            let stamp = Stamp(spec.path)
            guard let data = FileManager.default.contents(atPath: spec.path) else {
                throw Failure(
                    .fileMissing, "lookup file \(spec.path) is not there", why: "job \(job) joins with it",
                    now: "give its path with --ads, or make it with `sluice generate ad-events --ads \(spec.path)`")
            }
            let bytes = [UInt8](data)
            _ = try spec.build(from: bytes)
            let name = digest(of: bytes)
            try keep(name, bytes)
            // One that was written a moment ago may be written once more without a sign: it is read again.
            let sight = stamp.map { $0.isFresh(wallMillis()) ? .unknown : Sight.file($0) } ?? .unknown
            files.append(File(spec: spec, sight: sight, digest: name))
        }
    }

    /// Digests by the lookup's name, as plans name them.
    package var digests: [String: String] { Dictionary(files.map { ($0.spec.name, $0.digest) }) { $1 } }

    /// - Parameters:
    ///   - takesIn: later plans join with what is there now.
    ///   - keep: makes the bytes durable under their digest.
    package mutating func look(takesIn: Bool, wallMillis: Int64, keep: (String, [UInt8]) throws -> Void) throws -> [Change] {
        var changes: [Change] = []
        for (index, file) in files.enumerated() {
            let (name, path) = (file.spec.name, file.spec.path)
            func say(_ sight: Sight, _ reason: Failure) {
                if file.sight != sight { changes.append(.unreadable(name: name, reason)) }
                files[index].sight = sight
            }
            if let read = file.spec.read {
                if takesIn, let change = try look(again: index, read, keep: keep) { changes.append(change) }
                continue
            }
            guard let stamp = Stamp(path) else {
                say(.gone, Failure(.fileMissing, "lookup file \(path) is gone", why: "it was there at the start", now: "put it back"))
                continue
            }
            if file.sight == .file(stamp) || stamp.isFresh(wallMillis) { continue }
            guard let data = FileManager.default.contents(atPath: path) else {
                say(.closed, Failure(.fileMissing, "lookup file \(path) cannot be read", why: String(cString: strerror(errno)), now: "check its rights"))
                continue
            }
            // Somebody has just replaced it; the next look sees it whole.
            guard Stamp(path) == stamp else { continue }
            let bytes = [UInt8](data)
            let now = digest(of: bytes)
            if now != file.digest {
                do { _ = try file.spec.build(from: bytes) } catch {
                    files[index].sight = .file(stamp)
                    changes.append(.unreadable(name: name, failure(error)))
                    continue
                }
                if takesIn {
                    try keep(now, bytes)
                    files[index].digest = now
                    changes.append(.taken(name: name, digest: now))
                } else {
                    changes.append(.waits(name: name, path: path))
                }
            }
            files[index].sight = .file(stamp)
        }
        return changes
    }

    /// A table is read whole to be compared.
    private mutating func look(again index: Int, _ read: () throws -> [UInt8], keep: (String, [UInt8]) throws -> Void) throws -> Change? {
        let name = files[index].spec.name
        let bytes: [UInt8]
        do { bytes = try read() } catch {
            defer { files[index].sight = .gone }
            return files[index].sight == .gone ? nil : .unreadable(name: name, failure(error))
        }
        files[index].sight = .unknown
        let now = digest(of: bytes)
        if now == files[index].digest { return nil }
        try keep(now, bytes)
        files[index].digest = now
        return .taken(name: name, digest: now)
    }
}
