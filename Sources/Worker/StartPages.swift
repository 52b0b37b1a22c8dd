// Gives back the pages of code that only the start of this process needed.
//
// Some 17 MB of a worker's 38 are code of the libraries that linking, reading settings and opening sockets ran through once. The
// pages are the file's own, never written to: the kernel takes them away, and what is needed again comes back by a fault
// that reads no disk. Only mappings that may be executed and not written are given back: others hold what linking wrote.
//
// When changing this file: a page that was written must never be given back; it would come back as the file has it.

import Engine
import Glibc

package enum StartPages {
    package struct Mapping: Hashable, Sendable {
        package var address: UInt
        package var bytes: Int
    }

    package static func giveBack() {
        for mapping in code(in: kernelText("/proc/self/maps") ?? "") {
            madvise(UnsafeMutableRawPointer(bitPattern: mapping.address), mapping.bytes, MADV_DONTNEED)
        }
    }

    /// What of the lines of /proc/PID/maps is code of a file.
    package static func code(in maps: String) -> [Mapping] {
        maps.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard words.count >= 6, words[1] == "r-xp", words[5].hasPrefix("/") else { return nil }
            let ends = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, ends[1] > ends[0] else { return nil }
            return Mapping(address: ends[0], bytes: Int(ends[1] - ends[0]))
        }
    }
}
