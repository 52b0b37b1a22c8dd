// What the kernel says in a file under /proc.

import Glibc

/// Read to its end by hand: the kernel makes these files while they are read, and they claim to be empty.
package func kernelText(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var text: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 14)
    while true {
        let count = read(descriptor, &piece, piece.count)
        if count < 0 && errno == EINTR { continue }
        if count < 0 { return nil }
        if count == 0 { return String(decoding: text, as: UTF8.self) }
        text += piece[..<count]
    }
}
